/* Saves a <metric-chart> as a PNG when it hears `picture-wanted`: its title, its plot and, where
   several runs are drawn, which line is whose, on the ground of the page. Bars that stand in the
   plot's place are drawn as they are there. */

const PADDING = 16;
const LINE = 20;
const SCALE = 2;

document.addEventListener("picture-wanted", ({ target }) => save(target), true);

function save(owner) {
  if (!owner.chart) return;
  const isOfBars = owner.hasAttribute("data-values");
  const shown = isOfBars ? owner.querySelector("chart-values") : owner.canvas;
  const { width, height } = shown.getBoundingClientRect();
  const style = getComputedStyle(owner);
  const rows = isOfBars ? [...shown.querySelectorAll(".value-row")] : [];
  const runs = !isOfBars && owner.board.runs.size > 1 ? owner.chart.data.datasets : [];
  const columns = Math.max(1, Math.floor(width / 200));
  const plot = isOfBars ? rows.length * LINE : height;
  const picture = document.createElement("canvas");
  picture.width = (width + 2 * PADDING) * SCALE;
  picture.height = (plot + 2 * PADDING + LINE * (1 + Math.ceil(runs.length / columns))) * SCALE;
  const ctx = picture.getContext("2d");
  ctx.scale(SCALE, SCALE);
  ctx.fillStyle = style.getPropertyValue("--surface");
  ctx.fillRect(0, 0, picture.width, picture.height);
  ctx.textBaseline = "middle";
  ctx.fillStyle = style.getPropertyValue("--ink");
  ctx.font = `600 13px ${style.fontFamily}`;
  ctx.fillText(owner.dataset.metric, PADDING, PADDING + LINE / 2 - 4, width);
  ctx.font = `12px ${style.fontFamily}`;
  if (isOfBars) rows.forEach((row, i) => drawBar(ctx, row, PADDING + LINE * (i + 1.5), width));
  else finely(owner.chart, () => ctx.drawImage(owner.canvas, PADDING, PADDING + LINE, width, height));
  runs.forEach((curve, i) => {
    const left = PADDING + (i % columns) * (width / columns);
    const middle = PADDING + LINE * (1.7 + Math.floor(i / columns)) + height;
    ctx.strokeStyle = curve.look.ink;
    ctx.lineWidth = 2;
    ctx.setLineDash(curve.borderDash);
    line(ctx, left, left + 20, middle);
    ctx.fillText(owner.board.runs.get(curve.series.run).name, left + 26, middle, width / columns - 34);
  });
  picture.toBlob((blob) => offer(blob, `${fileName(owner.dataset.metric)}.png`));
}

/* Let `take` have the chart with as many pixels as the picture, whatever the screen has. */
function finely(chart, take) {
  const { devicePixelRatio } = chart.options;
  chart.options.devicePixelRatio = SCALE;
  chart.resize();
  take();
  chart.options.devicePixelRatio = devicePixelRatio;
  chart.resize();
}

/* A name, a bar with its whisker, and what it comes to, across the width. */
function drawBar(ctx, row, middle, width) {
  const words = [...row.querySelectorAll(".number")].map((part) => part.textContent).join(" ");
  const [from, to] = [PADDING + width * 0.32, PADDING + width * 0.68];
  const at = (share) => from + ((to - from) * Number.parseFloat(share)) / 100;
  const style = getComputedStyle(row.querySelector(".value-bar"));
  const ink = ctx.fillStyle;
  ctx.fillText(row.querySelector("bdi").textContent, PADDING, middle, width * 0.3);
  ctx.fillText(words, to + 8, middle, width * 0.32 - 8);
  ctx.fillStyle = style.color;
  const whisker = row.querySelector(".value-whisker");
  ctx.globalAlpha = whisker ? 0.6 : 1;
  ctx.fillRect(from, middle - 4, at(row.querySelector("rect").getAttribute("width")) - from, 8);
  ctx.globalAlpha = 1;
  ctx.fillStyle = ctx.strokeStyle = ink;
  ctx.lineWidth = 1;
  if (whisker) line(ctx, at(whisker.getAttribute("x1")), at(whisker.getAttribute("x2")), middle);
}

function line(ctx, from, to, y) {
  ctx.beginPath();
  ctx.moveTo(from, y);
  ctx.lineTo(to, y);
  ctx.stroke();
}

function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function fileName(metric) {
  return metric.replaceAll(/[^\p{L}\p{N}_.-]+/gu, "-");
}
