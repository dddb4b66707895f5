/* How every chart looks: thin lines, quiet grids, the colours and the type of the page. Colours
   are read again when the theme changes, which `colours-changed` on the document tells. */

const COLOURS = ["line", "muted", "ink", "surface"];
const colours = {};

function read() {
  const style = getComputedStyle(document.documentElement);
  for (const name of COLOURS) colours[name] = style.getPropertyValue(`--${name}`).trim();
}

function changed() {
  read();
  document.dispatchEvent(new Event("colours-changed"));
  for (const chart of Object.values(Chart.instances)) chart.update();
}

read();
Object.assign(Chart.defaults, { animation: false, maintainAspectRatio: false, color: () => colours.muted });
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
Chart.defaults.font.size = 11;
Chart.defaults.plugins.legend.display = false;
Chart.defaults.plugins.tooltip.enabled = false;
Object.assign(Chart.defaults.scale.border, { display: false });
Object.assign(Chart.defaults.scale.grid, { color: () => colours.line, drawTicks: false });
Object.assign(Chart.defaults.scale.ticks, {
  color: () => colours.muted,
  padding: 6,
  maxRotation: 0,
  maxTicksLimit: 6,
  includeBounds: false,
  autoSkipPadding: 12,
});
Object.assign(Chart.defaults.scale.title, { color: () => colours.muted });

new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
