/* <address-field> round a hidden field: what is sent is the query of the page's address as it is
   then, since charts and keys change it without asking the server. */

class AddressField extends HTMLElement {
  connectedCallback() {
    this.field = this.querySelector("input");
    this.form = this.field.form;
    this.form.addEventListener("formdata", this);
  }

  disconnectedCallback() {
    this.form.removeEventListener("formdata", this);
  }

  handleEvent(event) {
    event.formData.set(this.field.name, location.search);
  }
}

customElements.define("address-field", AddressField);
