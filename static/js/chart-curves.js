/* What curves of runs are made of: a Chart.js plugin that makes their datasets and the ends of
   their axes, and draws what Chart.js does not: the band between the least and the greatest of
   each bucket, the raw line behind a smoothed one, and marks on the edge for NaN, infinities and
   what a logarithmic axis cannot hold. Found by Chart.registry.getPlugin("curves"). */

const FEW_POINTS = 24;
const DASHES = [[], [6, 3], [2, 2.5], [9, 3, 2, 3]];
/* Of the values, sorted, the share at each end that "ignore outliers" leaves out. */
const OUTLYING = 0.02;
const MARK = 3.5;
const FADED = 0.15;

const isFinite_ = Number.isFinite;
const drawable = (value, isLog) => typeof value === "number" && (!isLog || value > 0);

/* How a chart draws one of its board's runs: ink, dash, isX and isY logarithmic, and whether it is
   marked among the others, or another one is. */
function look(chart, id) {
  const { runs, marked, settings: { isX, isY } } = chart.board;
  const { ink: number, dash } = runs.get(id);
  const style = getComputedStyle(chart);
  const ink = style.getPropertyValue(`--run-${number}`).trim();
  const oddInk = runs.size > 1 ? ink : style.getPropertyValue("--failed").trim();
  const isMarked = marked === id;
  return { ink, oddInk, dash, isX, isY, isMarked, isFaded: Boolean(marked) && !isMarked };
}

/* The line of one series, to look like that. */
function dataset(series, look) {
  const { x, raw, n } = series;
  const values = series.smooth ?? series.y;
  const data = [];
  x.forEach((at, i) => {
    if (drawable(at, look.isX)) data.push({ x: at, y: drawable(values[i], look.isY) ? values[i] : NaN });
  });
  const alone = data.length === 1 || isolated(data);
  const pointRadius = alone ? 3 : (raw || n) && x.length <= FEW_POINTS ? 1.75 : 0;
  const ink = look.isFaded ? Chart.helpers.color(look.ink).alpha(FADED).rgbString() : look.ink;
  return {
    series,
    look,
    data,
    order: look.isMarked ? 0 : 1,
    borderColor: ink,
    backgroundColor: ink,
    borderWidth: look.isMarked ? 2.25 : 1.5,
    borderDash: DASHES[look.dash % DASHES.length],
    borderJoinStyle: "round",
    pointHitRadius: 0,
    pointBorderWidth: 0,
    pointRadius,
    clip: pointRadius || undefined, // those on the edge are whole
    spanGaps: false,
  };
}

/* Whether no two values stand side by side: a line would show none of them. */
function isolated(data) {
  return !data.some((point, i) => i && isFinite_(point.y) && isFinite_(data[i - 1].y));
}

/* Half of what a time axis shows round a single moment: seconds, and milliseconds. */
const AROUND = { relative: 0.5, time: 30_000 };

/* The least and the greatest of what is drawn, [undefined, undefined] where that is one value or
   none; with some air for y, and round a single moment. `kind` is that of the x axis. */
function extent(all, axis, { isLog, withoutOutliers, kind }) {
  const values = all.flatMap((series) => valuesOf(series, axis)).filter((v) => drawable(v, isLog));
  let least = values.reduce((one, other) => Math.min(one, other), Infinity);
  let greatest = values.reduce((one, other) => Math.max(one, other), -Infinity);
  if (axis === "y" && withoutOutliers && values.length > FEW_POINTS) {
    values.sort((one, other) => one - other);
    const out = Math.floor(values.length * OUTLYING);
    [least, greatest] = [values[out], values.at(-1 - out)];
  }
  const around = axis === "x" && least === greatest && AROUND[kind];
  if (around) return [least - around, greatest + around];
  if (!(least < greatest)) return [undefined, undefined];
  if (axis === "x") return [least, greatest];
  if (isLog) {
    const air = (greatest / least) ** 0.05;
    return [least / air, greatest * air];
  }
  const air = (greatest - least) * 0.05;
  return isFinite_(air) ? [least - air, greatest + air] : [undefined, undefined];
}

function valuesOf({ x, y, lo, hi, smooth, raw }, axis) {
  if (axis === "x") return x;
  return [...(raw ? y : [...lo, ...hi]), ...(smooth ?? [])];
}

/* How many values of these series a logarithmic axis leaves out. */
function below(all) {
  return all.reduce((sum, { y, lo }) => sum + y.filter((v, i) => isBelow(v, lo[i])).length, 0);
}

function isBelow(value, least) {
  return (isFinite_(value) && value <= 0) || (isFinite_(least) && least <= 0);
}

function path(ctx, { scales }, x, values, look) {
  let isDown = false;
  x.forEach((at, i) => {
    if (!drawable(values[i], look.isY) || !drawable(at, look.isX)) {
      isDown = false;
      return;
    }
    const place = [scales.x.getPixelForValue(at), scales.y.getPixelForValue(values[i])];
    if (isDown) ctx.lineTo(...place);
    else ctx.moveTo(...place);
    isDown = true;
  });
}

function band(chart, { x, lo, hi }, look, share) {
  const { ctx, scales } = chart;
  const floor = look.isY ? scales.y.min : -Infinity;
  const rows = x.map((at, i) => i).filter((i) => isFinite_(hi[i]) && hi[i] > floor
    && drawable(x[i], look.isX));
  if (rows.length < 2) return;
  const at = (i, value) => [scales.x.getPixelForValue(x[i]),
    scales.y.getPixelForValue(Math.max(value, floor))];
  ctx.globalAlpha = look.isMarked ? 0.2 : (look.isFaded ? FADED : 1) * (0.2 / Math.sqrt(share));
  ctx.fillStyle = look.ink;
  ctx.beginPath();
  for (const i of rows) ctx.lineTo(...at(i, hi[i]));
  for (const i of rows.reverse()) ctx.lineTo(...at(i, lo[i]));
  ctx.fill();
}

function rawLine(chart, { x, y }, look) {
  const { ctx } = chart;
  ctx.globalAlpha = look.isFaded ? 0.3 * FADED : 0.3;
  ctx.strokeStyle = look.ink;
  ctx.lineWidth = 1;
  ctx.beginPath();
  path(ctx, chart, x, y, look);
  ctx.stroke();
}

/* NaN points up from the bottom edge, infinities down from above; a short line on the bottom edge
   says that there is something below a logarithmic axis. */
function marks(chart, { x, y, lo, nan, inf }, look) {
  const { ctx, chartArea: { top, bottom, left, right }, scales } = chart;
  ctx.fillStyle = look.oddInk;
  ctx.globalAlpha = look.isFaded ? FADED : 1;
  x.forEach((value, i) => {
    const isOut = look.isY && isBelow(y[i], lo[i]);
    if (!(nan[i] || inf[i] || isOut) || !drawable(value, look.isX)) return;
    const at = scales.x.getPixelForValue(value);
    if (at < left - 1 || at > right + 1) return;
    if (nan[i]) triangle(ctx, at, bottom, -6);
    if (inf[i]) triangle(ctx, at, top, 6);
    if (isOut) ctx.fillRect(at - 1, bottom - 4, 2, 4);
  });
}

function triangle(ctx, at, edge, height) {
  ctx.beginPath();
  ctx.moveTo(at - MARK, edge);
  ctx.lineTo(at + MARK, edge);
  ctx.lineTo(at, edge + height);
  ctx.fill();
}

/* Every curve's part in turn, no further than the plot reaches. */
function eachCurve(chart, draw) {
  const { ctx, chartArea: area } = chart;
  const curves = chart.data.datasets.filter((one) => one.series);
  if (!curves.length || !area) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(area.left, area.top, area.width, area.height);
  ctx.clip();
  for (const one of curves) draw(one.series, one.look, curves.length);
  ctx.restore();
}

Chart.register({
  id: "curves",
  look,
  dataset,
  extent,
  below,
  beforeDatasetsDraw(chart) {
    eachCurve(chart, (series, look, share) => {
      if (!series.raw) band(chart, series, look, share);
      if (series.smooth) rawLine(chart, series, look);
    });
  },
  afterDatasetsDraw(chart) {
    eachCurve(chart, (series, look) => marks(chart, series, look));
  },
});
