/* <chart-values> over the plot of a <metric-chart>: where each run has one single value, such as a score
   on data held out, a curve would be a dot. In its place stands a bar a run, the greatest first, or a
   bar a group with a whisker for its spread; of the only run of a page its value stands in the chart's
   head already, so the chart becomes a tile.
   The chart tells by `show` what it draws; data-values says whether this stands in its place. */

const SVG = "http://www.w3.org/2000/svg";
const writing = Chart.registry.getPlugin("writing");

class ChartValues extends HTMLElement {
  connectedCallback() {
    this.owner = this.closest("metric-chart");
  }

  show(series) {
    const { from, to } = this.owner.limits;
    const isSingle = from === null && to === null && series.every(isOne);
    const isTile = this.owner.querySelector(".chart-last") !== null;
    this.owner.classList.toggle("chart-tile", isSingle && isTile);
    this.owner.toggleAttribute("data-values", isSingle && !isTile);
    if (!isSingle || isTile) return this.replaceChildren();
    const rows = series.toSorted((one, other) => rank(other.y[0]) - rank(one.y[0]));
    const most = Math.max(...series.flatMap(({ y, lo, hi }) => [y[0], lo[0], hi[0]].map(size)));
    const list = document.createElement("ul");
    list.className = "value-rows";
    list.append(...rows.map((row) => this.row(row, most)));
    this.replaceChildren(list);
  }

  row(series, most) {
    const { run, y: [value], n } = series;
    const { name, ink } = this.owner.board.runs.get(run);
    const item = element("li", "value-row");
    item.dataset.marks = run;
    const label = element("bdi", "clip", name);
    label.title = name;
    const number = element("data", "number", writing.short(value));
    number.value = value;
    item.append(label, bar(ink, series, most), number);
    number.title = n ? `Mean ${value} of ${n[0]} run${n[0] === 1 ? "" : "s"}` : value;
    const { band } = this.owner.board.settings;
    if (n) item.append(element("span", "value-spread number", writing.spread(series, 0, band)));
    return item;
  }
}

/* One point of a run, or one mean of a group's. */
function isOne({ x, n, count }) {
  return x.length === 1 && (Boolean(n) || count === 1);
}

/* What is no number stands last, and has no bar. */
function rank(value) {
  return typeof value === "number" ? value : { Infinity, "-Infinity": -Infinity }[value] ?? -Infinity;
}

function size(value) {
  return typeof value === "number" ? Math.abs(value) : 0;
}

/* As long as the value is great, beside the greatest; a whisker over what lies on its side of 0 of
   the stretch from lo to hi. */
function bar(ink, { y: [value], lo: [low], hi: [high] }, most) {
  const made = shape("svg", { class: `value-bar ink-run-${ink}`, "aria-hidden": "true" });
  const share = (length) => `${most ? (100 * length) / most : 0}%`;
  made.append(shape("rect", { width: share(size(value)), height: "100%", rx: 2, fill: "currentColor" }));
  if (size(value) && low < high) {
    const [x1, x2] = [low, high].map((end) => share(Math.max(0, end * Math.sign(value))));
    made.append(shape("line", { class: "value-whisker", x1, x2, y1: "50%", y2: "50%" }));
    for (const x of [x1, x2]) made.append(shape("line", { class: "value-whisker", x1: x, x2: x, y2: "100%" }));
  }
  return made;
}

function element(name, className, text = "") {
  return Object.assign(document.createElement(name), { className, textContent: text });
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

customElements.define("chart-values", ChartValues);
