/* <column-chooser> holds the form that chooses columns: [data-chosen] is a list of lines with a
   box each, in the order they are shown. Boxes found elsewhere in the form go there when they are
   ticked. A line is moved by its [data-by] buttons, by Alt and an arrow, or by dragging. Opens the
   <dialog> it is in; the form, once sent, and [data-close] close it. */

const EVENTS = ["click", "change", "keydown", "submit", "dragstart", "dragover", "drop", "dragend"];

class ColumnChooser extends HTMLElement {
  connectedCallback() {
    for (const type of EVENTS) this.addEventListener(type, this);
    this.list = this.querySelector("[data-chosen]");
    this.dialog = this.closest("dialog");
    if (this.dialog && !this.dialog.open) this.dialog.showModal();
  }

  disconnectedCallback() {
    for (const type of EVENTS) this.removeEventListener(type, this);
  }

  handleEvent(event) {
    this[event.type](event);
  }

  click(event) {
    const button = event.target.closest("[data-by]");
    if (button) {
      event.preventDefault();
      this.move(button.closest("li"), Number(button.dataset.by));
      button.focus();
    }
    if (event.target.closest("[data-close]")) this.dialog.close();
  }

  change({ target }) {
    if (target.checked && target.name === "columns" && !this.list.contains(target)) this.add(target);
  }

  keydown(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const line = event.target.closest("[data-chosen] > li");
    if (!by || !event.altKey || !line) return;
    event.preventDefault();
    this.move(line, by);
    event.target.focus();
  }

  submit(event) {
    if (!event.submitter?.hasAttribute("formaction")) this.dialog?.close();
  }

  /* --- Lines ------------------------------------------------------------------------------- */

  add(box) {
    const line = this.querySelector("template").content.cloneNode(true);
    const { label, kind } = box.dataset;
    line.querySelector("[name=columns]").value = box.value;
    line.querySelector("[data-label]").textContent = label;
    line.querySelector("[data-kind]").textContent = kind;
    for (const button of line.querySelectorAll("[data-by]")) {
      const way = button.dataset.by < 0 ? "up" : "down";
      button.value = box.value;
      button.setAttribute("aria-label", `Move ${label} ${way}`);
    }
    this.list.append(line);
    this.querySelector("[data-none]").hidden = true;
    // Its line speaks for it now: sent twice, it would come twice.
    box.disabled = true;
    this.say(`${label} added`);
    this.list.lastElementChild.scrollIntoView({ block: "nearest" });
  }

  move(line, by) {
    const lines = [...this.list.children];
    const to = lines.indexOf(line) + by;
    if (to < 0 || to >= lines.length) return;
    if (by < 0) lines[to].before(line);
    else lines[to].after(line);
    this.say(`Place ${to + 1} of ${lines.length}`);
  }

  say(words) {
    this.querySelector("[data-said]").textContent = words;
  }

  /* --- Dragging ---------------------------------------------------------------------------- */

  dragstart(event) {
    this.dragged = event.target.closest?.("[data-chosen] > li");
    this.dragged?.toggleAttribute("data-dragged", true);
    if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
  }

  dragover(event) {
    const over = event.target.closest("[data-chosen] > li");
    if (!this.dragged || !over) return;
    event.preventDefault();
    if (over === this.dragged) return;
    const { top, height } = over.getBoundingClientRect();
    if (event.clientY < top + height / 2) over.before(this.dragged);
    else over.after(this.dragged);
  }

  drop(event) {
    if (this.dragged) event.preventDefault();
  }

  dragend() {
    this.dragged?.removeAttribute("data-dragged");
    this.dragged = null;
  }
}

customElements.define("column-chooser", ColumnChooser);
