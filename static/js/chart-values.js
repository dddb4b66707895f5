/* <chart-values> over the plot of a <metric-chart>: where each run has one single value, such as a score
   on data held out, a curve would be a dot. In its place stands a bar a run, the greatest first; of
   the only run of a page its value stands in the chart's head already, so the chart becomes a tile.
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
    const rows = series.map((one) => ({ run: one.run, value: one.y[0] }));
    rows.sort((one, other) => rank(other.value) - rank(one.value));
    const most = Math.max(...rows.map(({ value }) => size(value)));
    const list = document.createElement("ul");
    list.className = "value-rows";
    list.append(...rows.map((row) => this.row(row, most)));
    this.replaceChildren(list);
  }

  row({ run, value }, most) {
    const { name, ink } = this.owner.board.runs.get(run);
    const item = document.createElement("li");
    item.className = "value-row";
    item.dataset.marks = run;
    const label = document.createElement("bdi");
    Object.assign(label, { className: "clip", title: name, textContent: name });
    const number = document.createElement("span");
    Object.assign(number, { className: "number", title: value, textContent: writing.short(value) });
    item.append(label, bar(ink, most ? (100 * size(value)) / most : 0), number);
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

function bar(ink, width) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("class", `value-bar ink-run-${ink}`);
  made.setAttribute("aria-hidden", "true");
  const rect = document.createElementNS(SVG, "rect");
  const attributes = { width: `${width}%`, height: "100%", rx: 2, fill: "currentColor" };
  for (const [name, value] of Object.entries(attributes)) rect.setAttribute(name, value);
  made.append(rect);
  return made;
}

customElements.define("chart-values", ChartValues);
