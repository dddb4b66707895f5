/* Saves a <metric-chart> as a PNG when it hears `picture-wanted`: its title, its plot and, where
   several runs are drawn, which line is whose, on the ground of the page. */

const PADDING = 16;
const LINE = 20;
const SCALE = 2;

document.addEventListener("picture-wanted", ({ target }) => save(target), true);

function save(owner) {
  if (!owner.chart) return;
  const { width, height } = owner.canvas.getBoundingClientRect();
  const style = getComputedStyle(owner);
  const runs = owner.board.runs.size > 1 ? owner.chart.data.datasets : [];
  const columns = Math.max(1, Math.floor(width / 200));
  const rows = Math.ceil(runs.length / columns);
  const picture = document.createElement("canvas");
  picture.width = (width + 2 * PADDING) * SCALE;
  picture.height = (height + 2 * PADDING + LINE * (1 + rows)) * SCALE;
  const ctx = picture.getContext("2d");
  ctx.scale(SCALE, SCALE);
  ctx.fillStyle = style.getPropertyValue("--surface");
  ctx.fillRect(0, 0, picture.width, picture.height);
  ctx.textBaseline = "middle";
  ctx.fillStyle = style.getPropertyValue("--ink");
  ctx.font = `600 13px ${style.fontFamily}`;
  ctx.fillText(owner.dataset.metric, PADDING, PADDING + LINE / 2 - 4, width);
  ctx.drawImage(owner.canvas, PADDING, PADDING + LINE, width, height);
  ctx.font = `12px ${style.fontFamily}`;
  runs.forEach((curve, i) => {
    const left = PADDING + (i % columns) * (width / columns);
    const middle = PADDING + LINE * (1.7 + Math.floor(i / columns)) + height;
    ctx.fillStyle = curve.look.ink;
    ctx.fillRect(left, middle - 1, 14, 2);
    ctx.fillStyle = style.getPropertyValue("--ink");
    ctx.fillText(owner.board.runs.get(curve.series.run).name, left + 20, middle, width / columns - 28);
  });
  picture.toBlob((blob) => offer(blob, `${fileName(owner.dataset.metric)}.png`));
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
