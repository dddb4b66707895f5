/* <filter-lines> holds a search field, lines (.line, .menu-line) and a [role=status]: what is typed leaves only
   the lines that contain it. Without a script all lines are there and the field is not. */

class FilterLines extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", this);
  }

  disconnectedCallback() {
    this.removeEventListener("input", this);
  }

  handleEvent() {
    const wanted = this.querySelector("input").value.trim().toLowerCase();
    let shown = 0;
    for (const line of this.querySelectorAll(".line, .menu-line")) {
      line.hidden = !line.textContent.toLowerCase().includes(wanted);
      shown += line.hidden ? 0 : 1;
    }
    this.querySelector("[role=status]").textContent = shown ? `${shown} shown` : "None matches";
  }
}

customElements.define("filter-lines", FilterLines);
