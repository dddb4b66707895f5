/* <pick-tray data-noun data-place>: the rows one has picked, across pages, orders and filters, for
   as long as the tab is open. `noun` is what a row is, "run" or "experiment"; `place` names the
   selection, so that each experiment has its own.

   Rows are picked by the boxes [name=(noun)] that belong to the form in here; [data-pick-page] picks
   all rows of the page, Shift a stretch of them. What is picked on other pages goes along as
   hidden fields in [data-elsewhere]. Holds a [data-said] that announces, a [data-names] list made
   from a <template>, and where rows can be compared [data-compare], a link that tells how many.
   [data-clear] lets all go; so does a button [data-clears] once the server has done what it asks.
   [data-pick-matching] picks what the list holds on other pages too: <tbody data-matching
   data-matching-url> tells how many, and which. */

const MOST = 500;
const EVENTS = ["change", "click", "htmx:afterSettle", "htmx:afterRequest"];

class PickTray extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.noun = this.dataset.noun;
    this.key = `picked-${this.noun}s:${this.dataset.place}`;
    for (const type of EVENTS) document.addEventListener(type, this);
    window.addEventListener("pageshow", this);
    const early = this.early();
    this.recall();
    if (early.length) this.pick(early, true);
  }

  /* What was ticked before this script was there: with autocomplete off no browser ticks boxes
     again by itself. */
  early() {
    const isWhole = document.querySelector("[data-pick-page]")?.checked;
    return this.boxes().filter((box) => isWhole || box.checked);
  }

  disconnectedCallback() {
    for (const type of EVENTS) document.removeEventListener(type, this);
    window.removeEventListener("pageshow", this);
  }

  handleEvent(event) {
    const { target, type } = event;
    if (type === "change") this.changed(target);
    else if (type === "click") this.clicked(event);
    else if (type === "pageshow") this.recall();
    else if (type === "htmx:afterSettle") this.show();
    else if (event.detail.successful && this.contains(target)) this.done(target);
  }

  done(button) {
    this.querySelector(":popover-open")?.hidePopover();
    if (button.matches("[data-clears]")) this.keep([]);
  }

  changed(box) {
    if (box.matches("[data-pick-page]")) this.pick(this.boxes(), box.checked);
    else if (this.isBox(box)) this.pick(this.stretchTo(box), box.checked);
  }

  clicked(event) {
    const target = event.target;
    this.withShift = event.shiftKey;
    if (target.closest("[data-clear]")) this.keep([]);
    if (target.closest("[data-pick-matching]")) this.pickMatching(target.closest("button"));
    const dropped = this.contains(target) && target.closest("[data-drop]");
    if (dropped) this.keep([...this.picked].filter(([id]) => id !== dropped.dataset.drop));
  }

  isBox(element) {
    return element.form === this.form && element.matches(`input[type=checkbox][name=${this.noun}]`);
  }

  boxes() {
    return [...this.form.elements].filter((element) => this.isBox(element));
  }

  /* The boxes from the one touched last to this one while Shift is held, else this one. */
  stretchTo(box) {
    const boxes = this.boxes();
    const ends = [boxes.findIndex(({ value }) => value === this.last), boxes.indexOf(box)];
    this.last = box.value;
    if (!this.withShift || ends[0] < 0) return [box];
    return boxes.slice(Math.min(...ends), Math.max(...ends) + 1);
  }

  pick(boxes, isPicked) {
    const picked = new Map(this.picked);
    for (const box of boxes) {
      if (isPicked) picked.set(box.value, box.closest("tr").querySelector("a").textContent);
      else picked.delete(box.value);
    }
    this.keep([...picked]);
  }

  async pickMatching(button) {
    button.disabled = true;
    const response = await fetch(button.dataset.url).catch(() => ({ ok: false }));
    button.disabled = false;
    if (response.ok) this.keep([...this.picked, ...(await response.json()).rows]);
    else button.textContent = "They could not be fetched. Try again";
  }

  keep(pairs) {
    const all = [...new Map(pairs)];
    this.picked = new Map(all.slice(0, MOST));
    sessionStorage.setItem(this.key, JSON.stringify([...this.picked]));
    this.show();
    this.say(all.length > MOST ? ", the most there can be" : "");
  }

  recall() {
    this.picked = new Map(JSON.parse(sessionStorage.getItem(this.key) ?? "[]"));
    this.show();
  }

  say(more) {
    const count = this.picked.size;
    const words = `${count} ${this.noun}${count === 1 ? "" : "s"} selected${more}`;
    this.querySelector("[data-said]").textContent = words;
  }

  /* --- What it looks like -------------------------------------------------------------------- */

  show() {
    const boxes = this.boxes();
    for (const box of boxes) box.checked = this.picked.has(box.value);
    this.toggleAttribute("data-some", this.picked.size > 0);
    this.querySelector("[data-count]").textContent = this.picked.size;
    this.showPage(boxes);
    this.showMatching(boxes);
    this.showElsewhere(boxes);
    this.showNames();
    this.showCompare();
  }

  showPage(boxes) {
    const all = document.querySelector("[data-pick-page]");
    if (!all) return;
    const checked = boxes.filter((box) => box.checked).length;
    all.checked = checked > 0 && checked === boxes.length;
    all.indeterminate = checked > 0 && checked < boxes.length;
  }

  /* Offered once every row of the page is picked and there are others. */
  showMatching(boxes) {
    const button = this.querySelector("[data-pick-matching]");
    const { matching, matchingUrl } = document.querySelector("[data-matching]")?.dataset ?? {};
    const isWhole = boxes.length > 0 && boxes.every((box) => box.checked);
    const total = Number(matching ?? 0);
    button.hidden = !isWhole || this.picked.size >= Math.min(total, MOST);
    button.dataset.url = matchingUrl ?? "";
    const words = total > MOST ? `the first ${MOST} of ${total.toLocaleString("en")}` : `all ${total}`;
    button.textContent = `Select ${words} that match`;
  }

  showElsewhere(boxes) {
    const here = new Set(boxes.map((box) => box.value));
    const fields = [...this.picked.keys()].filter((id) => !here.has(id)).map((value) => {
      const field = document.createElement("input");
      return Object.assign(field, { type: "hidden", name: this.noun, value });
    });
    this.querySelector("[data-elsewhere]").replaceChildren(...fields);
  }

  showNames() {
    const template = this.querySelector("template");
    const lines = [...this.picked].map(([id, name]) => {
      const line = template.content.cloneNode(true);
      line.querySelector("[data-name]").textContent = name;
      line.querySelector("[data-drop]").dataset.drop = id;
      line.querySelector("[data-drop]").setAttribute("aria-label", `Take ${name} out`);
      return line;
    });
    this.querySelector("[data-names]").replaceChildren(...lines);
  }

  showCompare() {
    const link = this.querySelector("[data-compare]");
    if (!link) return;
    const many = this.picked.size > Number(link.dataset.most);
    const query = new URLSearchParams([...this.picked.keys()].map((id) => [this.noun, id]));
    if (many) link.removeAttribute("href");
    else link.href = `${link.dataset.compare}?${query}`;
    link.setAttribute("aria-disabled", String(many));
    link.title = many ? `At most ${link.dataset.most} ${this.noun}s can be compared` : "";
  }
}

customElements.define("pick-tray", PickTray);
