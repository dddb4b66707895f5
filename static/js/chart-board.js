/* <chart-board data-series-url data-points-url data-runs data-metrics-at-once> round the charts of a page: knows their
   runs and settings, and fetches for all of them.

   Charts that want their series at the same time (`series-wanted`) share requests: one metric
   after another, no finer than the charts have pixels, given up when no chart waits for it any
   more. What one chart is asked to show apart from the others, its limits, is kept in the address
   as `limits=from~to~low~high~metric`. Its runs stand in data-runs, as JSON: id, name, ink, dash.
   With [data-groups] a line is the mean of a group's runs, and `open` are those that go on. */

const GATHERING_MS = 20;
const FETCHED_ANEW = ["x", "smoothing", "band"];
const EVENTS = ["series-wanted", "chart-settings", "runs-shown", "chart-pointed"];

class ChartBoard extends HTMLElement {
  connectedCallback() {
    this.runs = new Map(JSON.parse(this.dataset.runs).map((run) => [run.id, run]));
    this.wanting = new Set();
    this.gathering = null;
    this.limits = limitsInAddress();
    for (const type of EVENTS) this.addEventListener(type, this);
    document.addEventListener("run-marked", this);
  }

  disconnectedCallback() {
    for (const type of EVENTS) this.removeEventListener(type, this);
    document.removeEventListener("run-marked", this);
    clearTimeout(this.gathering);
  }

  handleEvent(event) {
    if (event.type === "series-wanted") this.gather(event.target);
    else if (event.type === "chart-settings") this.redraw(event.detail.changed);
    else if (event.type === "run-marked") this.mark(event.detail.run);
    else if (event.type === "runs-shown") this.charts.forEach((chart) => chart.draw());
    else this.point(event);
  }

  get charts() {
    return [...this.querySelectorAll("metric-chart")];
  }

  /* The line that a run's points belong to: its own or its group's; undefined for none. */
  lineOf(run) {
    if (!this.hasAttribute("data-groups")) return this.runs.get(run);
    return [...this.runs.values()].find(({ open }) => open.includes(run));
  }

  /* How charts are drawn: by the form, or plainly where there is none. */
  get settings() {
    const values = this.querySelector("chart-settings")?.values ?? {};
    return {
      x: values.x || "step",
      smoothing: values.smoothing || "0",
      band: values.band,
      isX: values.xscale === "log",
      isY: values.yscale === "log",
      withoutOutliers: values.outliers === "hide",
    };
  }

  /* Runs that are not drawn. */
  get hiddenRuns() {
    return this.querySelector("run-key")?.hiddenRuns ?? new Set();
  }

  redraw(changed) {
    if (changed === "x") {
      for (const [metric, limits] of this.limits) {
        this.limit(metric, { ...limits, from: null, to: null });
      }
    }
    const isFetched = FETCHED_ANEW.includes(changed);
    for (const chart of this.charts) {
      if (!isFetched) chart.draw();
      // Whatever x is not bucketed is as good on another scale of it.
      if (isFetched || (changed === "xscale" && !chart.hasEveryPoint)) chart.stale();
    }
  }

  /* Put one run's line in front of the others, which fade; null for all alike. */
  mark(run) {
    const isMarked = this.runs.has(run) && !this.hiddenRuns.has(run);
    if ((this.marked ?? null) === (isMarked ? run : null)) return;
    this.marked = isMarked ? run : null;
    this.marking ??= requestAnimationFrame(() => {
      this.marking = null;
      for (const chart of this.charts) if (chart.isNear || !this.marked) chart.draw();
    });
  }

  /* A line at the same x in every chart that can show it. */
  point({ target, detail }) {
    for (const chart of this.charts) if (chart !== target) chart.follow(detail.x);
  }

  /* --- Limits ------------------------------------------------------------------------------ */

  /* Keep what a chart is limited to, null for nothing, here and in the address. */
  limit(metric, { from, to, low, high }) {
    const all = [from, to, low, high].map((number) => number ?? null);
    if (all.every((number) => number === null)) this.limits.delete(metric);
    else this.limits.set(metric, { from: all[0], to: all[1], low: all[2], high: all[3] });
    const address = new URL(location.href);
    address.searchParams.delete("limits");
    for (const [name, kept] of this.limits) {
      const numbers = [kept.from, kept.to, kept.low, kept.high].map((number) => number ?? "");
      address.searchParams.append("limits", [...numbers, name].join("~"));
    }
    history.replaceState(history.state, "", address);
  }

  /* --- Fetching ---------------------------------------------------------------------------- */

  gather(chart) {
    this.wanting.add(chart);
    this.gathering ??= setTimeout(() => this.send(), GATHERING_MS);
  }

  send() {
    this.gathering = null;
    const alike = Map.groupBy([...this.wanting].filter((chart) => chart.isConnected), askedAlike);
    this.wanting.clear();
    const most = Number(this.dataset.metricsAtOnce);
    for (const charts of alike.values()) {
      for (let at = 0; at < charts.length; at += most) this.fetch(charts.slice(at, at + most));
    }
  }

  async fetch(charts) {
    const request = { abort: new AbortController(), charts: new Set(charts) };
    const begun = performance.now();
    for (const chart of charts) chart.waitFor(request);
    try {
      const response = await fetch(this.address(charts), { signal: request.abort.signal });
      if (!response.ok || response.redirected) throw new Error(`answered ${response.status}`);
      const series = (await response.json()).series.map(whole);
      const byMetric = Map.groupBy(series, ({ metric }) => metric);
      const cost = performance.now() - begun;
      for (const chart of request.charts) chart.cost = cost;
      for (const chart of request.charts) chart.take(byMetric.get(chart.dataset.metric) ?? []);
    } catch (error) {
      if (request.abort.signal.aborted) return;
      console.warn("A chart could not be drawn.", error);
      for (const chart of request.charts) chart.fail();
    }
  }

  address(charts) {
    const { x, smoothing, band, isX } = this.settings;
    const { buckets, from, to } = charts[0].asked;
    const url = new URL(this.dataset.seriesUrl, location.href);
    for (const chart of charts) url.searchParams.append("metric", chart.dataset.metric);
    url.searchParams.set("compact", "1");
    url.searchParams.set("buckets", buckets);
    if (isX) url.searchParams.set("xscale", "log");
    if (band) url.searchParams.set("band", band);
    if (x !== "step") url.searchParams.set("x", x);
    if (Number(smoothing)) url.searchParams.set("smoothing", smoothing);
    if (from !== null) url.searchParams.set("from", from);
    if (to !== null) url.searchParams.set("to", to);
    return url;
  }
}

/* A series as the server writes it for us, in few bytes (`charts.as_compact_json`), with all that
   it leaves out. */
function whole(series) {
  const { y, raw, dx } = series;
  let at = 0;
  const x = dx ? dx.map((step) => (at += step)) : series.x;
  const own = raw ? y.map((value) => (Number.isFinite(value) ? value : null)) : null;
  const counted = (isSo) => y.map((value) => Number(raw && isSo(value)));
  return {
    ...series,
    x,
    lo: own ?? series.lo,
    hi: own ? [...own] : series.hi,
    nan: series.nan ?? counted((value) => value === "NaN"),
    inf: series.inf ?? counted((value) => String(value).endsWith("Infinity")),
  };
}

function askedAlike(chart) {
  return JSON.stringify(chart.asked);
}

function limitsInAddress() {
  const found = new Map();
  for (const text of new URLSearchParams(location.search).getAll("limits")) {
    const parts = text.split("~");
    const [from, to, low, high] = parts.slice(0, 4).map((part) => {
      const number = Number.parseFloat(part);
      return Number.isFinite(number) ? number : null;
    });
    if (parts.length === 5) found.set(parts[4], { from, to, low, high });
  }
  return found;
}

customElements.define("chart-board", ChartBoard);
