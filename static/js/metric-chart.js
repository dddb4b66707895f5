/* <metric-chart data-metric>: one metric of the runs of its <chart-board>, which fetches for it.

   Asks for its series (`series-wanted`) when it scrolls near, and again when they are stale then.
   A stretch chosen in its <drag-range> is fetched anew, in full detail; a double click, or its
   button, shows the whole again. Holds a <canvas>, [data-points], [data-below], [data-retry] and
   [data-reset]; its [data-state] is loading, ready, empty or error. */

const MOST_BUCKETS = 2000;
const LEAST_BUCKETS = 100;
/* So many lines are as fine as the canvas; more share what it can show. */
const FINE_LINES = 10;
const REFETCH_BEYOND = 1.3;
const WITHIN_REACH = { rootMargin: "300px 0px" };
const EVENTS = ["click", "dblclick", "range-chosen"];
const WAITING = ["loading", "error"];
const NO_LIMITS = { from: null, to: null, low: null, high: null };
const writing = Chart.registry.getPlugin("writing");
const curves = Chart.registry.getPlugin("curves");

class MetricChart extends HTMLElement {
  connectedCallback() {
    this.board = this.closest("chart-board");
    this.canvas = this.querySelector("canvas");
    this.series = null;
    this.isStale = true;
    this.near = new IntersectionObserver(([entry]) => this.approached(entry), WITHIN_REACH);
    this.near.observe(this);
    for (const type of EVENTS) this.addEventListener(type, this);
    document.addEventListener("colours-changed", this);
    this.toggleAttribute("data-limited", this.limits !== NO_LIMITS);
  }

  disconnectedCallback() {
    for (const type of EVENTS) this.removeEventListener(type, this);
    document.removeEventListener("colours-changed", this);
    this.near.disconnect();
    this.waitFor(null);
    this.chart?.destroy();
    this.chart = null;
  }

  handleEvent(event) {
    const type = event.type;
    if (type === "colours-changed") this.draw();
    else if (type === "click" && event.target.closest("[data-retry]")) this.want();
    else if (type === "click" && event.target.closest("[data-reset]")) this.limit(NO_LIMITS);
    else if (type === "dblclick" && event.target.closest("drag-range")) this.limit(NO_LIMITS);
    else if (type === "range-chosen" && this.chart) this.zoom(event.detail);
  }

  /* --- Limits ------------------------------------------------------------------------------ */

  get limits() {
    return this.board.limits.get(this.dataset.metric) ?? NO_LIMITS;
  }

  zoom({ from, to }) {
    const { x } = this.chart.scales;
    const [least, greatest] = [from, to].map((pixel) => x.getValueForPixel(pixel));
    if (greatest <= x.min || least >= x.max) return;
    const ends = rounded(Math.max(least, x.min), Math.min(greatest, x.max));
    this.limit({ ...this.limits, from: ends[0], to: ends[1] });
  }

  /* Show no more than these limits, in full detail. */
  limit(limits) {
    const { from, to } = this.limits;
    this.board.limit(this.dataset.metric, limits);
    this.toggleAttribute("data-limited", this.limits !== NO_LIMITS);
    if (from !== this.limits.from || to !== this.limits.to) this.want();
    else this.draw();
  }

  /* --- Fetching ---------------------------------------------------------------------------- */

  approached(entry) {
    this.isNear = entry.isIntersecting;
    if (this.isNear && this.isStale) this.want();
  }

  /* What was fetched is no longer what is asked for. */
  stale() {
    this.isStale = true;
    if (this.isNear) this.want();
  }

  want() {
    this.isStale = false;
    this.dataset.state = "loading";
    this.fetchedWidth = this.canvas.parentElement.clientWidth || 400;
    this.dispatchEvent(new Event("series-wanted", { bubbles: true }));
  }

  get asked() {
    const width = Math.floor(this.canvas.parentElement.clientWidth);
    const fineness = Math.min(1, Math.max(1 / 3, FINE_LINES / this.board.runs.size));
    const buckets = Math.min(Math.max(Math.floor(width * fineness), LEAST_BUCKETS), MOST_BUCKETS);
    const { from, to } = this.limits;
    return { buckets, from, to };
  }

  get hasEveryPoint() {
    return this.series?.every((one) => one.raw) ?? false;
  }

  /* The request that is under way for this chart; the one before is given up once nobody else
     waits for it. */
  waitFor(request) {
    this.request?.charts.delete(this);
    if (this.request?.charts.size === 0) this.request.abort.abort();
    this.request = request;
  }

  fail() {
    this.isStale = true;
    this.dataset.state = "error";
  }

  take(series) {
    this.series = series.filter((one) => one.count);
    this.dataset.state = "ready";
    this.draw();
    this.dispatchEvent(new Event("series-taken", { bubbles: true }));
  }

  /* --- Drawing ----------------------------------------------------------------------------- */

  draw() {
    if (!this.series) return;
    const { hiddenRuns, settings } = this.board;
    this.shown = this.series.filter((one) => !hiddenRuns.has(one.run));
    this.tell(settings);
    if (!WAITING.includes(this.dataset.state)) {
      this.dataset.state = this.shown.length ? "ready" : "empty";
    }
    if (!this.shown.length) return;
    this.toggleAttribute("data-drawn", true);
    const kind = JSON.stringify([settings.x, settings.isX, settings.isY]);
    if (this.kind !== kind) this.chart?.destroy();
    if (this.kind !== kind) this.chart = new Chart(this.canvas, this.plan(settings));
    this.kind = kind;
    const { data, options } = this.chart;
    data.datasets = this.shown.map((one) => curves.dataset(one, curves.look(this, one.run)));
    Object.assign(options.scales.x, this.ends("x", settings.isX, settings));
    Object.assign(options.scales.y, this.ends("y", settings.isY, settings));
    this.chart.update();
    this.querySelector("chart-values").show?.(this.shown);
    this.querySelector("chart-readout")?.renew();
  }

  /* The ends of an axis, given so that its ticks are round numbers between them. */
  ends(axis, isLog, { withoutOutliers, x: kind }) {
    const how = { isLog, withoutOutliers, kind };
    const [least, greatest] = curves.extent(this.shown, axis, how);
    const { from, to, low, high } = this.limits;
    const [pinnedMin, pinnedMax] = axis === "x" ? [from, to] : [low, high];
    const min = isLog && pinnedMin <= 0 ? least : pinnedMin ?? least;
    const max = pinnedMax ?? greatest;
    return min >= max ? { min: least, max: greatest } : { min, max };
  }

  /* How many points stand behind what is drawn. */
  tell({ isY }) {
    const points = this.shown.reduce((sum, one) => sum + one.count, 0);
    const place = this.querySelector("[data-points]");
    this.total ??= place.textContent; // as the server counted them
    const { from, to } = this.limits;
    const isPart = from !== null || to !== null || this.shown.length < this.series.length;
    place.textContent = isPart ? `${writing.whole(points)} of ${this.total}` : this.total;
    const below = isY ? curves.below(this.shown) : 0;
    this.querySelector("[data-below]").textContent = below ? `${writing.whole(below)} not above 0` : "";
  }

  plan({ x, isX, isY }) {
    return {
      type: "line",
      data: { datasets: [] },
      options: {
        parsing: false,
        normalized: true,
        events: [],
        onResize: (_, size) => this.resized(size.width),
        scales: { x: writing.axis(x, isX), y: writing.axis("value", isY) },
      },
    };
  }

  follow(x) {
    this.querySelector("chart-readout")?.follow(x);
  }

  resized(width) {
    clearTimeout(this.settling);
    if (width < this.fetchedWidth * REFETCH_BEYOND) return;
    this.settling = setTimeout(() => this.isConnected && this.want(), 250);
  }
}

/* Both ends of a stretch in digits that tell a thousandth of it: they are read, and typed anew. */
function rounded(from, to) {
  const digits = Math.ceil(Math.log10(Math.max(Math.abs(from), Math.abs(to)) / (to - from))) + 4;
  return [from, to].map((end) => Number(end.toPrecision(Math.min(Math.max(digits, 4), 17))));
}

customElements.define("metric-chart", MetricChart);
