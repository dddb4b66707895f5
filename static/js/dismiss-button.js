/* <dismiss-button>: its button removes the message round it. */

class DismissButton extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", this);
  }

  disconnectedCallback() {
    this.removeEventListener("click", this);
  }

  handleEvent(event) {
    if (event.target.closest("button")) this.closest(".message").remove();
  }
}

customElements.define("dismiss-button", DismissButton);
