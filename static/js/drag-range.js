/* <drag-range> round a plot: dragging across it chooses a stretch. Fires `range-chosen` with
   detail { from, to }, in pixels from its left edge, and shows the stretch in its
   <svg><rect class="drag-range-stretch"></svg> meanwhile. Escape lets go. */

const SHORTEST_DRAG = 6;
const EVENTS = ["pointerdown", "pointermove", "pointerup", "pointercancel", "keydown"];

class DragRange extends HTMLElement {
  connectedCallback() {
    for (const type of EVENTS) this.addEventListener(type, this);
  }

  disconnectedCallback() {
    for (const type of EVENTS) this.removeEventListener(type, this);
  }

  handleEvent(event) {
    if (event.type === "pointerdown") this.begin(event);
    else if (!this.stretch) return;
    else if (event.type === "pointermove") this.extend(event);
    else if (event.type === "pointerup") this.choose();
    else if (event.type === "pointercancel" || event.key === "Escape") this.show(null);
  }

  begin(event) {
    if (event.button !== 0) return;
    this.setPointerCapture(event.pointerId);
    const at = this.offset(event);
    this.show([at, at]);
  }

  extend(event) {
    this.show([this.stretch[0], this.offset(event)]);
  }

  choose() {
    const [from, to] = this.ordered();
    this.show(null);
    if (to - from < SHORTEST_DRAG) return;
    this.dispatchEvent(new CustomEvent("range-chosen", { bubbles: true, detail: { from, to } }));
  }

  offset(event) {
    const box = this.getBoundingClientRect();
    return Math.min(Math.max(event.clientX - box.left, 0), box.width);
  }

  ordered() {
    return [Math.min(...this.stretch), Math.max(...this.stretch)];
  }

  show(stretch) {
    this.toggleAttribute("data-dragging", stretch !== null && stretch[0] !== stretch[1]);
    this.stretch = stretch;
    const [from, to] = stretch ? this.ordered() : [0, 0];
    const rect = this.querySelector(".drag-range-stretch");
    rect.setAttribute("x", from);
    rect.setAttribute("width", to - from);
  }
}

customElements.define("drag-range", DragRange);
