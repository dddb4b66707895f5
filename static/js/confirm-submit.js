/* <confirm-submit> holds a <form> and a <dialog>: submitting asks in the dialog first. Its
   [value=confirm] button goes on, anything else stays. Without a script the form just submits. */

class ConfirmSubmit extends HTMLElement {
  connectedCallback() {
    // Captured above the form: htmx listens on the form itself and must not go ahead.
    this.addEventListener("submit", this, { capture: true });
    this.dialog = this.querySelector("dialog");
    this.dialog.addEventListener("close", this);
  }

  disconnectedCallback() {
    this.removeEventListener("submit", this, { capture: true });
    this.dialog.removeEventListener("close", this);
  }

  handleEvent(event) {
    if (event.type === "close") this.answered();
    else if (!this.dialog.contains(event.target)) this.ask(event);
  }

  ask(event) {
    if (this.confirmed) {
      this.confirmed = false;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    this.submitter = event.submitter;
    this.dialog.returnValue = "";
    this.dialog.showModal();
  }

  answered() {
    if (this.dialog.returnValue !== "confirm") return;
    this.confirmed = true;
    this.querySelector("form").requestSubmit(this.submitter);
  }
}

customElements.define("confirm-submit", ConfirmSubmit);
