/* <query-box data-complete-url> holds the field for a query. What could come next is asked from the
   address, with the text up to the caret as `text`, and offered in a list under the field: a combobox
   with its listbox, as ARIA describes them. The arrow keys go through the list, Enter and Tab take what
   is chosen, Escape closes it. Without a script the field is just a field. */

const WAIT = 120;
/* What was offered was for another place in the text. */
const CARET_KEYS = ["ArrowLeft", "ArrowRight", "Home", "End"];

class QueryBox extends HTMLElement {
  connectedCallback() {
    this.input = this.querySelector("input");
    this.list = this.querySelector("ul") ?? this.appendChild(document.createElement("ul"));
    this.list.id = "query-options";
    this.list.className = "query-options";
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "What could come next");
    const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-controls": this.list.id };
    for (const [name, value] of Object.entries(attributes)) this.input.setAttribute(name, value);
    this.close();
    for (const type of ["input", "keydown", "click", "focusout"]) this.addEventListener(type, this);
    this.list.addEventListener("pointerdown", this);
    document.addEventListener("htmx:afterSettle", this);
  }

  disconnectedCallback() {
    this.close();
    document.removeEventListener("htmx:afterSettle", this);
  }

  handleEvent(event) {
    this[`on_${event.type.replace("htmx:", "")}`](event);
  }

  on_input() {
    this.ask();
  }

  on_click(event) {
    if (event.target === this.input) this.ask();
  }

  on_focusout(event) {
    if (!this.contains(event.relatedTarget)) this.close();
  }

  /* A press on an option must not take the focus from the field. */
  on_pointerdown(event) {
    event.preventDefault();
    const option = event.target.closest("[role=option]");
    if (option) this.take(option);
  }

  /* The fault under the field is a fragment of the server's. */
  on_afterSettle() {
    const isWrong = document.querySelector("#query-fault:not(:empty)") !== null;
    this.input.setAttribute("aria-invalid", String(isWrong));
  }

  on_keydown(event) {
    if (event.target !== this.input || event.isComposing) return;
    const isOpen = !this.list.hidden;
    if (event.key === "ArrowDown" && !isOpen) {
      this.ask();
    } else if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      this.step(event.key === "ArrowDown" ? 1 : -1);
    } else if (isOpen && event.key === "Escape") {
      this.close();
    } else if (this.chosen && (event.key === "Enter" || event.key === "Tab")) {
      this.take(this.chosen);
    } else {
      if (event.key === "Enter" || CARET_KEYS.includes(event.key)) this.close();
      return;
    }
    event.preventDefault();
  }

  get chosen() {
    return this.list.querySelector("[aria-selected=true]");
  }

  get before() {
    return this.input.value.slice(0, this.input.selectionStart);
  }

  ask() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetch(), WAIT);
  }

  async fetch() {
    this.request?.abort();
    this.request = new AbortController();
    const before = this.before;
    const url = `${this.dataset.completeUrl}?${new URLSearchParams({ text: before })}`;
    try {
      const answer = await fetch(url, { signal: this.request.signal });
      if (!answer.ok) return this.close();
      const found = await answer.json();
      if (this.before === before && document.activeElement === this.input) this.show(found);
    } catch (error) {
      if (error.name !== "AbortError") this.close();
    }
  }

  show(found) {
    const chosen = this.chosen?.dataset.text;
    this.replaced = found.replaced;
    this.list.replaceChildren(...found.options.map(optionOf));
    this.list.hidden = !found.options.length;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    this.input.removeAttribute("aria-activedescendant");
    // Who was quicker than the answer keeps what they chose.
    const again = [...this.list.children].find((option) => option.dataset.text === chosen);
    if (again) this.choose(again);
  }

  close() {
    clearTimeout(this.timer);
    this.request?.abort();
    this.show({ replaced: 0, options: [] });
  }

  step(by) {
    const options = [...this.list.children];
    const at = options.indexOf(this.chosen) + by;
    const next = options[at < 0 ? options.length - 1 : at % options.length];
    this.chosen?.setAttribute("aria-selected", "false");
    this.choose(next);
  }

  choose(option) {
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", option.id);
  }

  /* The server counts characters, the field UTF-16 units. */
  take(option) {
    const before = [...this.before];
    const kept = before.slice(0, before.length - this.replaced).join("");
    const text = option.dataset.text;
    const caret = kept.length + text.length;
    this.input.value = kept + text + this.input.value.slice(this.input.selectionStart).trimStart();
    this.input.setSelectionRange(caret, caret);
    this.close();
    this.input.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }
}

function optionOf(found, number) {
  const option = document.createElement("li");
  option.id = `query-option-${number}`;
  option.className = "query-option";
  option.setAttribute("role", "option");
  option.setAttribute("aria-selected", "false");
  option.dataset.text = found.text;
  const text = document.createElement("bdi");
  text.textContent = found.text.trim();
  const detail = document.createElement("span");
  detail.className = "faint";
  detail.textContent = found.detail;
  option.append(text, " ", detail);
  return option;
}

customElements.define("query-box", QueryBox);
