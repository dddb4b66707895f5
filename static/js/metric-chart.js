/* <metric-chart data-series-url data-metric data-ink>: the curve of one metric of one run.

   Fetched when it scrolls near, no finer than its pixels. A stretch chosen in its <drag-range> is
   fetched anew, in full detail; a double click, or its button, shows the whole again. Where
   several points fell into one pixel, a band shows their least and greatest. NaN and infinities
   are marks on the edge. Holds a <canvas>, [data-points], [data-retry] and [data-reset]; its
   [data-state] is loading, ready, empty or error. Needs the global Chart. */

const MOST_BUCKETS = 2000;
const FEW_POINTS = 24;
const REFETCH_BEYOND = 1.3;
const WITHIN_REACH = { rootMargin: "300px 0px" };

class MetricChart extends HTMLElement {
  connectedCallback() {
    this.canvas = this.querySelector("canvas");
    this.range = null;
    this.near = new IntersectionObserver((entries) => this.approached(entries), WITHIN_REACH);
    this.near.observe(this);
    for (const type of EVENTS) this.addEventListener(type, this);
    all.add(this);
  }

  disconnectedCallback() {
    for (const type of EVENTS) this.removeEventListener(type, this);
    this.near.disconnect();
    this.request?.abort();
    this.chart?.destroy();
    this.chart = null;
    all.delete(this);
  }

  approached(entries) {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    this.near.disconnect();
    this.load();
  }

  handleEvent(event) {
    const type = event.type;
    if (type === "click" && event.target.closest("[data-retry]")) this.load();
    else if (type === "click" && event.target.closest("[data-reset]")) this.show(null);
    else if (type === "dblclick" && event.target.closest("drag-range")) this.show(null);
    else if (type === "range-chosen" && this.chart) this.zoom(event.detail);
  }

  /* --- Fetching ---------------------------------------------------------------------------- */

  zoom({ from, to }) {
    const { x } = this.chart.scales;
    const [least, greatest] = [from, to].map((pixel) => x.getValueForPixel(pixel));
    if (greatest > x.min && least < x.max) {
      this.show([Math.max(least, x.min), Math.min(greatest, x.max)]);
    }
  }

  show(range) {
    if (range === null && this.range === null) return;
    this.range = range;
    this.toggleAttribute("data-zoomed", range !== null);
    this.load();
  }

  async load() {
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.dataset.state = "loading";
    this.fetchedWidth = this.canvas.parentElement.clientWidth || 400;
    try {
      const response = await fetch(this.address(), { signal: request.signal });
      if (!response.ok || response.redirected) throw new Error(`answered ${response.status}`);
      const [series] = (await response.json()).series;
      this.draw(series);
    } catch {
      if (!request.signal.aborted) this.dataset.state = "error";
    }
  }

  address() {
    const url = new URL(this.dataset.seriesUrl, location.href);
    const buckets = Math.min(Math.max(this.fetchedWidth, 100), MOST_BUCKETS);
    url.searchParams.set("metric", this.dataset.metric);
    url.searchParams.set("buckets", Math.round(buckets));
    if (this.range) {
      url.searchParams.set("from", this.range[0]);
      url.searchParams.set("to", this.range[1]);
    }
    return url;
  }

  /* --- Drawing ----------------------------------------------------------------------------- */

  draw(series) {
    const points = series ? series.count : 0;
    this.tell(points);
    this.dataset.state = points ? "ready" : "empty";
    if (!points) return;
    this.toggleAttribute("data-drawn", true);
    this.series = series;
    this.odd = oddPoints(series);
    if (this.chart) {
      this.chart.data.datasets = this.datasets();
      const { x, y } = this.chart.options.scales;
      Object.assign(x, this.span());
      Object.assign(y, this.height());
      this.chart.update();
    } else {
      this.chart = new Chart(this.canvas, this.settings());
    }
  }

  tell(points) {
    const place = this.querySelector("[data-points]");
    this.total ??= place.textContent;
    place.textContent = this.range ? `${whole(points)} of ${this.total}` : this.total;
  }

  datasets() {
    const { x, y, lo, hi, raw } = this.series;
    const ink = this.colour(this.dataset.ink);
    const plain = { pointRadius: 0, pointHitRadius: 0, borderWidth: 0, spanGaps: false };
    const line = {
      ...plain,
      data: pairs(x, y),
      borderColor: ink,
      backgroundColor: ink,
      borderWidth: 1.5,
      borderJoinStyle: "round",
      pointRadius: x.length === 1 ? 3 : raw && x.length <= FEW_POINTS ? 1.75 : 0,
    };
    if (raw) return [line];
    const band = Chart.helpers.color(ink).alpha(0.18).rgbString();
    const above = { ...plain, data: pairs(x, hi), backgroundColor: band, fill: "+1" };
    return [line, above, { ...plain, data: pairs(x, lo) }];
  }

  /* The ends of the axes, given so that their ticks are round numbers between them. */
  span() {
    const { x } = this.series;
    const [min, max] = this.range ?? [x[0], x.at(-1)];
    return min < max ? { min, max } : { min: undefined, max: undefined };
  }

  height() {
    const { y, lo, hi, raw } = this.series;
    const values = (raw ? y : [...lo, ...hi]).filter(Number.isFinite);
    const [least, greatest] = [values.reduce(lesser, Infinity), values.reduce(greater, -Infinity)];
    const margin = (greatest - least) * 0.05;
    const isFlat = !(least < greatest && Number.isFinite(margin));
    return isFlat ? { min: undefined, max: undefined }
      : { min: least - margin, max: greatest + margin };
  }

  settings() {
    return {
      type: "line",
      data: { datasets: this.datasets() },
      options: {
        animation: false,
        parsing: false,
        normalized: true,
        maintainAspectRatio: false,
        interaction: { mode: "nearest", axis: "x", intersect: false },
        onResize: (_, size) => this.resized(size.width),
        scales: {
          x: { type: "linear", ...this.span(), ...this.axis(6) },
          y: { ...this.height(), ...this.axis(7) },
        },
        plugins: { legend: { display: false }, tooltip: this.tooltip() },
      },
      plugins: [{ id: "odd", afterDatasetsDraw: (chart) => this.markOdd(chart) }],
    };
  }

  axis(most) {
    return {
      border: { display: false },
      grid: { color: this.colour("--line"), drawTicks: false },
      ticks: {
        color: this.colour("--muted"),
        padding: 6,
        maxRotation: 0,
        maxTicksLimit: most,
        includeBounds: false,
        callback: short,
        font: { size: 11, family: getComputedStyle(this).fontFamily },
      },
    };
  }

  tooltip() {
    return {
      animation: false,
      displayColors: false,
      filter: (item) => item.datasetIndex === 0,
      callbacks: {
        title: ([item]) => item && `step ${whole(item.parsed.x)}`,
        label: (item) => short(item.parsed.y),
        afterLabel: (item) => {
          const { raw, lo, hi } = this.series;
          const [least, greatest] = [lo[item.dataIndex], hi[item.dataIndex]];
          if (raw || least === null || least === greatest) return "";
          return `${short(least)} to ${short(greatest)} around it`;
        },
      },
    };
  }

  /* Values that are no numbers: NaN points up from the bottom edge, infinities down from above. */
  markOdd(chart) {
    const { ctx, chartArea: area, scales } = chart;
    ctx.save();
    ctx.fillStyle = this.colour("--failed");
    for (const { x, isNan } of this.odd) {
      const at = scales.x.getPixelForValue(x);
      if (at < area.left || at > area.right) continue;
      ctx.beginPath();
      const [edge, tip] = isNan ? [area.bottom, -6] : [area.top, 6];
      ctx.moveTo(at - 3.5, edge);
      ctx.lineTo(at + 3.5, edge);
      ctx.lineTo(at, edge + tip);
      ctx.fill();
    }
    ctx.restore();
  }

  colour(name) {
    return getComputedStyle(this).getPropertyValue(name).trim();
  }

  recolour() {
    if (!this.chart) return;
    const { scales } = this.chart.options;
    for (const scale of [scales.x, scales.y]) {
      scale.grid.color = this.colour("--line");
      scale.ticks.color = this.colour("--muted");
    }
    this.chart.data.datasets = this.datasets();
    this.chart.update();
  }

  resized(width) {
    clearTimeout(this.settling);
    if (width < this.fetchedWidth * REFETCH_BEYOND) return;
    this.settling = setTimeout(() => this.isConnected && this.load(), 250);
  }
}

const lesser = (one, other) => Math.min(one, other);
const greater = (one, other) => Math.max(one, other);
const EVENTS = ["click", "dblclick", "range-chosen"];
const all = new Set();

/* Points as Chart.js takes them; what is not finite travels as text and is a gap here. */
function pairs(x, y) {
  return x.map((step, i) => ({ x: step, y: typeof y[i] === "number" ? y[i] : NaN }));
}

function oddPoints({ x, nan, inf }) {
  const marks = [];
  x.forEach((step, i) => {
    if (nan[i]) marks.push({ x: step, isNan: true });
    if (inf[i]) marks.push({ x: step, isNan: false });
  });
  return marks;
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const FOUR_DIGITS = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });

function whole(number) {
  return WHOLE.format(number);
}

/* A number in four digits, as the server writes it. */
function short(number) {
  const size = Math.abs(number);
  if (size && (size < 1e-4 || size >= 1e6)) {
    return number.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return FOUR_DIGITS.format(number);
}

function recolourAll() {
  for (const chart of all) chart.recolour();
}

new MutationObserver(recolourAll).observe(document.documentElement, {
  attributeFilter: ["data-theme"],
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolourAll);
customElements.define("metric-chart", MetricChart);
