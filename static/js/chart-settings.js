/* <chart-settings> round the form that says how the charts of a page are drawn: x, xscale, yscale,
   smoothing, outliers, band. What is chosen stands in the address at once, without a new entry in the
   history, and `chart-settings` is fired; whatever htmx fetches for this page takes it along.
   Shows the smoothing in its <output>. */

const DEFAULTS = { x: "step", smoothing: "0", band: "std" };
const SETTINGS = ["x", "xscale", "yscale", "smoothing", "outliers", "band"];
/* What scripts write into the address: never to be taken from a link the server wrote earlier. */
const OURS = [...SETTINGS, "limits", "hide"];
const EVENTS = ["input", "change", "submit"];

class ChartSettings extends HTMLElement {
  connectedCallback() {
    for (const type of EVENTS) this.addEventListener(type, this);
    document.addEventListener("htmx:configRequest", this);
  }

  disconnectedCallback() {
    for (const type of EVENTS) this.removeEventListener(type, this);
    document.removeEventListener("htmx:configRequest", this);
  }

  handleEvent(event) {
    if (event.type === "htmx:configRequest") carry(event.detail);
    else if (event.type === "submit") event.preventDefault();
    else this.changed(event.target);
  }

  /* The settings as words, absent ones empty. */
  get values() {
    return Object.fromEntries(new FormData(this.querySelector("form")));
  }

  changed(control) {
    const values = this.values;
    this.querySelector("output").value = values.smoothing;
    const address = new URL(location.href);
    for (const name of SETTINGS) {
      const value = values[name] ?? "";
      if (value === "" || value === DEFAULTS[name]) address.searchParams.delete(name);
      else address.searchParams.set(name, value);
    }
    history.replaceState(history.state, "", address);
    this.dispatchEvent(
      new CustomEvent("chart-settings", { bubbles: true, detail: { changed: control.name } }),
    );
  }
}

/* Put what the address says of the charts into a request for the same page, in place of what a
   link or a form remembers. */
function carry(detail) {
  const address = new URL(detail.path, location.href);
  if (detail.verb !== "get" || address.pathname !== location.pathname) return;
  const now = new URLSearchParams(location.search);
  for (const name of OURS) {
    delete detail.parameters[name];
    address.searchParams.delete(name);
    for (const value of now.getAll(name)) address.searchParams.append(name, value);
  }
  detail.path = `${address.pathname}${address.search}`;
}

customElements.define("chart-settings", ChartSettings);
