/* How values of runs become places and colours: a Chart.js plugin that plots of whole runs find by
   Chart.registry.getPlugin("values"). Values are numbers, texts, or null where a run has none. */

const LOG_FROM = 50; // times the least value: what a sweep spreads over powers of ten
const AIR = 0.04;
const writing = Chart.registry.getPlugin("writing");

/* The axis of some values: `place` of a value on it (null for none), its ends, and the `ticks` of
   texts. `wished` is log, linear, or "" for what suits. */
function axis(values, wished = "") {
  const known = values.filter((value) => value !== null);
  if (known.some((value) => typeof value !== "number")) return texts(known);
  const [least, greatest] = [Math.min(...known), Math.max(...known)];
  const canLog = known.length > 0 && least > 0;
  const isLog = canLog && (wished === "log" || (wished === "" && greatest / least >= LOG_FROM));
  const place = (value) => (value === null || (isLog && value <= 0) ? null : value);
  if (!(least < greatest)) return { isLog: false, place, ...around(known.length ? least : 0) };
  if (isLog) {
    const air = (greatest / least) ** AIR;
    return { isLog, place, min: least / air, max: greatest * air, least, greatest };
  }
  const air = (greatest - least) * AIR;
  return { isLog, place, min: least - air, max: greatest + air, least, greatest };
}

function around(value) {
  const air = Math.abs(value) * 0.1 || 1;
  return { min: value - air, max: value + air, least: value, greatest: value };
}

function texts(known) {
  const inOrder = (one, other) => one.localeCompare(other, "en", { numeric: true });
  const names = [...new Set(known.map(String))].sort(inOrder);
  const ticks = names.map((label, value) => ({ value, label }));
  const place = (value) => (value === null ? null : names.indexOf(String(value)));
  return { isLog: false, place, min: -0.5, max: names.length - 0.5, ticks, names };
}

/* Where a value stands between the ends of its axis, 0 to 1; null for none. */
function share(scale, value) {
  const at = scale.place(value);
  if (at === null) return null;
  if (!scale.isLog) return (at - scale.min) / (scale.max - scale.min);
  return Math.log(at / scale.min) / Math.log(scale.max / scale.min);
}

/* A colour for each value: from one end to the other for numbers, one each for texts, the faint
   one for none. `ink` reads a colour of the page by name. */
function colours(values, ink) {
  const scale = axis(values);
  return values.map((value) => {
    if (scale.place(value) === null) return ink("--faint");
    if (scale.names) return ink(`--run-${(scale.place(value) % 12) + 1}`);
    return between(share(scale, value), ink);
  });
}

function between(part, ink) {
  return `color-mix(in oklab, ${ink("--scale-high")} ${Math.round(part * 100)}%, ${ink("--scale-low")})`;
}

function written(value) {
  return typeof value === "number" ? writing.short(value) : value ?? "–";
}

/* Options of a Chart.js scale for an axis, with its name beside it. */
function scaleOptions(scale, name) {
  const title = { display: true, text: name };
  const { min, max } = scale;
  if (!scale.ticks) {
    const plain = writing.axis("value", scale.isLog);
    return { ...plain, min, max, title, ticks: { ...plain.ticks, maxTicksLimit: 12 } };
  }
  return {
    type: "linear", min, max, title,
    afterBuildTicks(built) {
      built.ticks = scale.ticks.map((tick) => ({ ...tick }));
    },
    ticks: { callback: (value) => cut(scale.names[value] ?? ""), autoSkip: true },
  };
}

/* Tell a run's values in a readout beside the pointer; nothing without a run. */
function tell(readout, run, fields, at) {
  readout.replaceChildren();
  if (!run) return;
  const head = document.createElement("p");
  head.className = "readout-head";
  head.textContent = run.name;
  const list = document.createElement("dl");
  list.className = "plot-values";
  fields.forEach((field, n) => {
    const [name, value] = [document.createElement("dt"), document.createElement("dd")];
    name.textContent = field;
    value.textContent = written(run.values[n]);
    list.append(name, value);
  });
  readout.append(head, list);
  const { offsetWidth: own, parentElement: { offsetWidth: whole } } = readout;
  const left = at.left > whole / 2 ? at.left - own - 16 : at.left + 16;
  readout.style.insetInlineStart = `${Math.max(0, Math.min(left, whole - own))}px`;
  readout.style.insetBlockStart = `${Math.max(0, at.top - 24)}px`;
}

/* What the colours mean, as pairs of a colour and its value: every text, or both ends. */
function legend(column, ink) {
  const scale = axis(column);
  if (scale.names) return scale.names.slice(0, 12).map((name, n) => [ink(`--run-${n + 1}`), name]);
  if (scale.least === undefined) return [];
  const ends = [written(scale.least), "", "", written(scale.greatest)];
  return ends.map((text, n) => [between(n / (ends.length - 1), ink), text]);
}

function cut(text) {
  return text.length > 18 ? `${text.slice(0, 17)}…` : text;
}

/* What every plot of whole runs begins and ends with: its runs and fields, its canvas, the `events`
   it listens to there. It draws itself, anew when the page's colours change. */
function open(plot, events) {
  plot.fields = JSON.parse(plot.dataset.fields);
  plot.runs = JSON.parse(plot.dataset.runs);
  plot.canvas = plot.querySelector("canvas");
  plot.lit = null;
  for (const type of events) plot.canvas.addEventListener(type, plot);
  document.addEventListener("colours-changed", plot);
  plot.draw();
}

function close(plot, events) {
  for (const type of events) plot.canvas.removeEventListener(type, plot);
  document.removeEventListener("colours-changed", plot);
  plot.chart?.destroy();
}

Chart.register({ id: "values", open, close, axis, share, colours, legend, written, tell, scaleOptions, cut });
