/* <theme-choice> holds buttons named theme or density: the page takes the look at once, the form
   round them stores it. */

class ThemeChoice extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", this);
  }

  disconnectedCallback() {
    this.removeEventListener("click", this);
  }

  handleEvent(event) {
    const chosen = event.target.closest("button[name]");
    if (!chosen) return;
    document.documentElement.dataset[chosen.name] = chosen.value;
    for (const button of document.querySelectorAll(`theme-choice [name=${chosen.name}]`)) {
      button.setAttribute("aria-pressed", String(button.value === chosen.value));
    }
  }
}

customElements.define("theme-choice", ThemeChoice);
