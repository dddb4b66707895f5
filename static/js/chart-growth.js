/* Lets the charts of a page grow by the points that `exptrack:points` tells (see live-updates.js).

   A chart that shows every point of a run along its steps, to the end, takes the new ones as they
   come. Any other fetches anew: at once, then every two seconds at most, more seldom where that
   takes long, and only while it is in view. A point is known by its position in its series, so none is missed or drawn twice. */

const REFETCH_MS = 2_000;
const PER_COST = 10;
const newest = new WeakMap(); // chart → how many points each of its runs has been told to have
const waiting = new WeakMap(); // chart → when it may fetch again, and whether it will

document.addEventListener("exptrack:points", ({ detail }) => {
  for (const chart of document.querySelectorAll("metric-chart")) {
    if (chart.dataset.metric !== detail.metric || !chart.board?.lineOf(detail.run)) continue;
    if (!newest.has(chart)) newest.set(chart, new Map());
    newest.get(chart).set(detail.run, detail.count);
    grow(chart, detail);
  }
});

/* What was fetched meanwhile may be older than what was told. */
document.addEventListener("series-taken", ({ target: chart }) => {
  chart.toggleAttribute("data-growing", false);
  if (!newest.has(chart)) return;
  count(chart);
  chart.tell(chart.board.settings);
  if (isBehind(chart)) refetch(chart);
});

function isBehind(chart) {
  const totals = new Map(chart.series.map((series) => [series.run, series.total]));
  return [...newest.get(chart)].some(([run, count]) => totals.has(run) && totals.get(run) < count);
}

function grow(chart, told) {
  if (!chart.series || chart.dataset.state === "loading") return; // `series-taken` will tell
  const series = chart.series.find((one) => one.run === told.run);
  if (series && series.total >= told.count) return;
  if (!series || !append(chart, series, told)) {
    refetch(chart);
    return;
  }
  count(chart);
  chart.growing ??= requestAnimationFrame(() => {
    chart.growing = null;
    if (chart.isConnected) chart.draw();
  });
}

/* Whether the new points could be put behind those that are drawn. */
function append(chart, series, { after, count, steps, values }) {
  const { settings } = chart.board;
  const isPlain = settings.x === "step" && !Number(settings.smoothing) && series.raw;
  const isOpen = chart.limits.to === null;
  if (!isPlain || !isOpen || after === undefined || after > series.total) return false;
  const known = series.total - after;
  const last = series.x.at(-1) ?? -Infinity;
  const x = steps.slice(known);
  const isLater = x.every((step, i) => step > (i ? x[i - 1] : last));
  if (!isLater || series.x.length + x.length > chart.asked.buckets) return false;
  const y = values.slice(known);
  const finite = y.map((value) => (typeof value === "number" ? value : null));
  series.x.push(...x);
  series.y.push(...y);
  series.lo.push(...finite);
  series.hi.push(...finite);
  series.nan.push(...y.map((value) => Number(value === "NaN")));
  series.inf.push(...y.map((value) => Number(String(value).endsWith("Infinity"))));
  series.count += x.length;
  series.total = count;
  return true;
}

function refetch(chart) {
  const state = waiting.get(chart) ?? { from: 0, timer: null };
  waiting.set(chart, state);
  state.timer ??= setTimeout(() => {
    state.timer = null;
    state.from = performance.now() + Math.max(REFETCH_MS, PER_COST * (chart.cost ?? 0));
    chart.toggleAttribute("data-growing", true);
    if (chart.isConnected) chart.stale();
  }, Math.max(0, state.from - performance.now()));
}

/* How many points the chart says it stands for. */
function count(chart) {
  const points = chart.series.reduce((sum, series) => sum + series.total, 0);
  chart.total = `${Chart.registry.getPlugin("writing").whole(points)} point${points === 1 ? "" : "s"}`;
}
