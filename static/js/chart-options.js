/* <chart-options> in a <metric-chart>: buttons [data-open], which opens what else can be done with
   the chart, and [data-full] for the whole screen. The panel is the page's
   <template id="chart-options">: a form of the axes' limits (from, to, low, high), [data-table],
   which shows numbers in place of the curves, [data-picture] and the link [data-points]. */

const writing = Chart.registry.getPlugin("writing");
const COLUMNS = ["Points", "First", "Last", "Min", "Max"];
let last = 0;

class ChartOptions extends HTMLElement {
  connectedCallback() {
    this.owner = this.closest("metric-chart");
    this.addEventListener("click", this);
    this.addEventListener("submit", this);
    this.addEventListener("keydown", this);
    document.addEventListener("click", this, true);
    const full = this.querySelector("[data-full]");
    full.hidden = !document.fullscreenEnabled;
  }

  disconnectedCallback() {
    this.removeEventListener("click", this);
    this.removeEventListener("submit", this);
    this.removeEventListener("keydown", this);
    document.removeEventListener("click", this, true);
  }

  handleEvent(event) {
    if (event.currentTarget === document) {
      if (this.panel && !this.contains(event.target)) this.close();
    } else if (event.type === "click") this.clicked(event);
    else if (event.type === "submit") this.pin(event);
    else if (event.key === "Escape" && this.panel) this.close(true);
  }

  clicked({ target }) {
    if (target.closest("[data-open]")) this.panel ? this.close() : this.open();
    else if (target.closest("[data-full]")) this.fill();
    else if (target.closest("[data-table]")) this.asTable();
    else if (target.closest("[data-picture]")) this.owner.dispatchEvent(new Event("picture-wanted"));
    else if (target.closest("[data-unpin]")) this.unpin();
    else return;
    if (!target.closest("[data-open]")) this.close(true);
  }

  get panel() {
    return this.querySelector(".chart-panel");
  }

  open() {
    const made = document.getElementById("chart-options").content.cloneNode(true);
    last += 1;
    const panel = made.querySelector(".chart-panel");
    panel.id = `chart-options-${last}`;
    panel.setAttribute("aria-label", `Options of ${this.owner.dataset.metric}`);
    for (const [name, value] of Object.entries(this.owner.limits)) {
      made.querySelector(`[name=${name}]`).value = value ?? "";
    }
    const link = made.querySelector("[data-points-link]");
    const address = new URL(this.owner.board.dataset.pointsUrl, location.href);
    address.searchParams.append("metric", this.owner.dataset.metric);
    if (this.owner.board.hasAttribute("data-groups")) {
      address.searchParams.set("x", this.owner.board.settings.x);
    }
    link.href = address;
    const isTable = this.owner.hasAttribute("data-as-table");
    made.querySelector("[data-table] > span").textContent = isTable ? "Show curves" : "Show numbers";
    this.append(made);
    const button = this.querySelector("[data-open]");
    button.setAttribute("aria-expanded", "true");
    button.setAttribute("aria-controls", panel.id);
    panel.querySelector("input").focus();
  }

  close(isBack = false) {
    const button = this.querySelector("[data-open]");
    this.panel?.remove();
    button.setAttribute("aria-expanded", "false");
    button.removeAttribute("aria-controls");
    if (isBack) button.focus();
  }

  /* --- What it does ------------------------------------------------------------------------ */

  pin(event) {
    event.preventDefault();
    const given = new FormData(event.target);
    const limits = {};
    for (const [name, text] of given) limits[name] = text === "" ? null : Number(text);
    const isWrong = (least, greatest) => least !== null && greatest !== null && least >= greatest;
    const wrong = isWrong(limits.from, limits.to) ? "to" : isWrong(limits.low, limits.high) ? "high" : "";
    const field = wrong && event.target.elements[wrong];
    if (field) {
      field.setCustomValidity("The end of an axis lies beyond its beginning.");
      field.reportValidity();
      field.addEventListener("input", () => field.setCustomValidity(""), { once: true });
      return;
    }
    this.owner.limit(limits);
    this.close(true);
  }

  unpin() {
    this.owner.limit({ from: null, to: null, low: null, high: null });
  }

  fill() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.owner.requestFullscreen();
  }

  /* The numbers behind the curves in a table, kept as long as it is open. */
  asTable() {
    const place = this.owner.querySelector("[data-numbers]");
    const isTable = this.owner.toggleAttribute("data-as-table");
    place.replaceChildren();
    place.tabIndex = isTable ? 0 : -1;
    if (!isTable) return;
    const table = document.createElement("table");
    table.className = "table";
    table.createCaption().textContent = `${this.owner.dataset.metric} in what the chart shows`;
    const head = table.createTHead().insertRow();
    for (const name of [this.owner.board.hasAttribute("data-groups") ? "Group" : "Run", ...COLUMNS]) head.append(headCell(name, "col"));
    const body = table.createTBody();
    for (const series of this.owner.shown ?? []) {
      const row = body.insertRow();
      row.append(headCell(this.owner.board.runs.get(series.run).name, "row"));
      for (const value of numbersOf(series)) {
        const cell = row.insertCell();
        cell.className = "cell-number";
        cell.textContent = value === null ? "–" : writing.short(value);
      }
    }
    place.append(table);
  }
}

function headCell(text, scope) {
  const cell = document.createElement("th");
  cell.scope = scope;
  cell.textContent = text;
  return cell;
}

/* Points, first, last, least and greatest of one series; of a mean's own values. */
function numbersOf({ count, y, lo, hi, n }) {
  const finite = (values) => (n ? y : values).filter(Number.isFinite);
  const least = finite(lo).reduce((one, other) => Math.min(one, other), Infinity);
  const greatest = finite(hi).reduce((one, other) => Math.max(one, other), -Infinity);
  const ends = least === Infinity ? [null, null] : [least, greatest];
  return [count, y[0], y.at(-1), ...ends];
}

customElements.define("chart-options", ChartOptions);
