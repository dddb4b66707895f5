/* <run-key>: the runs of a page's charts, each with a checkbox [data-run] that shows or hides its
   line, and buttons [data-all="show"] and [data-all="hide"]. Hidden runs stand in the address as
   the last eight characters of their ids, `hide=1a2b3c4d,…`. Fires `runs-shown`. */

const ID_END = -8;

class RunKey extends HTMLElement {
  connectedCallback() {
    this.addEventListener("change", this);
    this.addEventListener("click", this);
    const ends = new URLSearchParams(location.search).get("hide")?.split(",") ?? [];
    for (const box of this.boxes) box.checked = !ends.includes(box.dataset.run.slice(ID_END));
  }

  disconnectedCallback() {
    this.removeEventListener("change", this);
    this.removeEventListener("click", this);
  }

  handleEvent(event) {
    const all = event.type === "click" && event.target.closest("[data-all]");
    if (event.type === "click" && !all) return;
    if (all) for (const box of this.boxes) box.checked = all.dataset.all === "show";
    this.keep();
    this.dispatchEvent(new Event("runs-shown", { bubbles: true }));
  }

  get boxes() {
    return [...this.querySelectorAll("[data-run]")];
  }

  get hiddenRuns() {
    return new Set(this.boxes.filter((box) => !box.checked).map((box) => box.dataset.run));
  }

  keep() {
    const address = new URL(location.href);
    const ends = [...this.hiddenRuns].map((id) => id.slice(ID_END));
    if (ends.length) address.searchParams.set("hide", ends.join(","));
    else address.searchParams.delete("hide");
    history.replaceState(history.state, "", address);
  }
}

customElements.define("run-key", RunKey);
