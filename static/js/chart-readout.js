/* <chart-readout> over the plot of a <metric-chart>: what stands at the x under the pointer, every
   run with its value, the greatest first, and the one nearest to the pointer in bold. Draws a line
   there and a dot on each curve, into the plot's <svg class="drag-range">. `chart-pointed` with
   detail { x }, null when the pointer has left, lets the other charts of the page follow. */

const SVG = "http://www.w3.org/2000/svg";
const MOST_ROWS = 16;
const REACH = 14;
const FEW_DOTS = 8;
const APART = 14;
const EVENTS = ["pointermove", "pointerdown", "pointerleave", "pointercancel"];
const writing = Chart.registry.getPlugin("writing");

class ChartReadout extends HTMLElement {
  connectedCallback() {
    this.owner = this.closest("metric-chart");
    this.plot = this.closest(".chart-plot").querySelector("drag-range");
    this.overlay = this.plot.querySelector("svg");
    this.pointed = this.followed = null;
    for (const type of EVENTS) this.plot.addEventListener(type, this);
  }

  disconnectedCallback() {
    for (const type of EVENTS) this.plot.removeEventListener(type, this);
  }

  handleEvent(event) {
    if (!this.owner.chart) return;
    if (event.type === "pointerleave" || event.type === "pointercancel") this.pointAt(null);
    else this.pointAt(event);
  }

  pointAt(event) {
    this.pointed = event;
    this.followed = null;
    const box = this.plot.getBoundingClientRect();
    const at = event && { left: event.clientX - box.left, top: event.clientY - box.top };
    const isDragging = this.plot.hasAttribute("data-dragging");
    const found = at && !isDragging ? this.found(at.left) : null;
    if (found?.rows.length) this.show(found, at, box);
    else this.hide();
    const x = found?.rows.length ? found.x : null;
    this.dispatchEvent(new CustomEvent("chart-pointed", { bubbles: true, detail: { x } }));
  }

  /* Show only the line and the dots: the pointer is over another chart. */
  follow(x) {
    this.followed = x;
    const { chart } = this.owner;
    if (!chart) return;
    if (x === null || x < chart.scales.x.min || x > chart.scales.x.max) this.hide();
    else this.draw(this.found(chart.scales.x.getPixelForValue(x)));
  }

  /* The curves have changed under the pointer, which stands still. */
  renew() {
    if (this.pointed) this.pointAt(this.pointed);
    else if (this.followed !== null) this.follow(this.followed);
  }

  hide() {
    this.replaceChildren();
    this.overlay.querySelector("g").replaceChildren();
  }

  /* --- What stands there ------------------------------------------------------------------- */

  /* The x of a point nearest to a pixel, and each run's point nearest to that. */
  found(pixel) {
    const { chart } = this.owner;
    const scale = chart.scales.x;
    const wanted = scale.getValueForPixel(pixel);
    const curves = chart.data.datasets.filter((one) => one.data.length);
    const near = curves.map((one) => nearest(one.data, wanted));
    const x = near.reduce((best, { x: at }) =>
      best === null || Math.abs(at - wanted) < Math.abs(best - wanted) ? at : best, null);
    const rows = curves.flatMap((curve) => {
      const point = nearest(curve.data, x);
      const left = scale.getPixelForValue(point.x);
      if (Math.abs(left - scale.getPixelForValue(x)) > REACH) return [];
      return [{ curve, point, left, top: chart.scales.y.getPixelForValue(point.y) }];
    });
    rows.sort((one, other) => rank(other.point.y) - rank(one.point.y));
    return { x, left: scale.getPixelForValue(x), rows };
  }

  /* --- Showing it -------------------------------------------------------------------------- */

  show(found, at, box) {
    this.draw(found);
    const { board } = this.owner;
    const nearest_ = found.rows.toSorted(
      (one, other) => Math.abs(one.top - at.top) - Math.abs(other.top - at.top),
    )[0];
    const head = element("p", "readout-head", writing.position(found.x, board.settings.x));
    const list = element("ul", "readout-rows");
    const { rows } = found;
    const middle = rows.indexOf(nearest_) - MOST_ROWS / 2;
    const first = Math.max(0, Math.min(middle, rows.length - MOST_ROWS));
    const rest = rows.length - first - MOST_ROWS;
    if (first) list.append(element("li", "faint", `${first} more above`));
    for (const row of rows.slice(first, first + MOST_ROWS)) {
      list.append(this.row(row, row === nearest_ && rows.length > 1));
    }
    if (rest > 0) list.append(element("li", "faint", `${rest} more below`));
    this.replaceChildren(head, list);
    const isLeft = at.left > box.width / 2;
    const room = Math.max(0, Math.min(found.left + APART, box.width - this.offsetWidth));
    this.style.insetInlineStart = isLeft
      ? `${Math.max(0, found.left - APART - this.offsetWidth)}px` : `${room}px`;
  }

  row({ curve, point }, isNearest) {
    const { series, look } = curve;
    const { runs } = this.owner.board;
    const item = element("li", isNearest ? "readout-row readout-nearest" : "readout-row");
    if (runs.size > 1) {
      item.append(swatch(look.ink));
      item.append(element("bdi", "readout-name clip", runs.get(series.run).name));
    }
    item.append(element("span", "readout-value", writing.short(point.y)));
    const isTold = isNearest || runs.size === 1;
    const { band } = this.owner.board.settings;
    const around = isTold ? writing.spread(series, series.x.indexOf(point.x), band) : "";
    if (around) item.append(element("span", "readout-around", around));
    return item;
  }

  draw({ left, rows }) {
    const { chartArea: area } = this.owner.chart;
    const line = shape("line", { x1: left, x2: left, y1: area.top, y2: area.bottom, class: "crosshair" });
    const inside = rows.filter(({ top }) => top >= area.top && top <= area.bottom);
    const few = inside.length <= FEW_DOTS;
    const dots = inside.map(({ left: cx, top: cy, curve }) =>
      shape("circle", { cx, cy, r: few ? 3 : 2, fill: curve.look.ink, class: few ? "crosshair-dot" : "" }));
    this.overlay.querySelector("g").replaceChildren(line, ...dots);
  }
}

/* The point of a curve, sorted by x, that is nearest to an x. */
function nearest(data, x) {
  let [low, high] = [0, data.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (data[middle].x < x) low = middle + 1;
    else high = middle;
  }
  const before = data[Math.max(low - 1, 0)];
  return Math.abs(before.x - x) < Math.abs(data[low].x - x) ? before : data[low];
}

/* What is not drawn stands last. */
function rank(value) {
  return Number.isNaN(value) ? -Infinity : value;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function swatch(ink) {
  const made = shape("svg", { class: "swatch", viewBox: "0 0 12 12", "aria-hidden": "true" });
  made.append(shape("circle", { cx: 6, cy: 6, r: 5, fill: ink }));
  return made;
}

customElements.define("chart-readout", ChartReadout);
