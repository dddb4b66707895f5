/* How charts write numbers, moments and spans of time, and where their ticks stand. Our scripts
   import nothing of each other, so they meet here: Chart.registry.getPlugin("writing"). */

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const FOUR_DIGITS = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const DAY = 86_400;
const UNITS = [[DAY, "d"], [3600, "h"], [60, "min"], [1, "s"]];
/* Seconds that read as a round time. */
const ROUND_TIMES = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900,
  1800, 3600, 7200, 10_800, 21_600, 43_200, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY,
];
const PIXELS_A_TICK = 76;

function whole(number) {
  return WHOLE.format(number);
}

/* A number in four digits, as the server writes it. */
function short(number) {
  if (typeof number !== "number") return { Infinity: "∞", "-Infinity": "-∞" }[number] ?? "NaN";
  const size = Math.abs(number);
  if (size && (size < 1e-4 || size >= 1e6)) {
    return number.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return FOUR_DIGITS.format(number);
}

/* Seconds in their two greatest units: 2 h 13 min, 5.3 s, 40 ms. */
function span(seconds) {
  if (seconds < 0) return `-${span(-seconds)}`;
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(3))} s`;
  let rest = Math.round(seconds);
  const first = UNITS.findIndex(([size]) => rest >= size);
  const parts = UNITS.slice(first, first + 2).map(([size, unit]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count ? `${whole(count)} ${unit}` : "";
  });
  return parts.filter(Boolean).join(" ");
}

/* A moment in milliseconds, exact to the second, UTC. */
function moment(ms) {
  const text = new Date(ms).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}

/* The words of a moment at a tick: no finer than the ticks are apart. */
function tickMoment(ms, step, isLong) {
  const date = new Date(ms);
  const day = `${date.getUTCDate()} ${date.toLocaleString("en", { month: "short", timeZone: "UTC" })}`;
  if (step >= DAY) return day;
  const clock = date.toISOString().slice(11, step < 1 ? 23 : step < 60 ? 19 : 16);
  return isLong ? `${day} ${clock}` : clock;
}

/* What stands at an x, by the kind of the axis. */
function position(x, kind) {
  if (kind === "time") return moment(x);
  if (kind === "relative") return `${span(x)} after the start`;
  if (kind === "step") return `step ${whole(x)}`;
  return `${kind.replace(/^metric:/, "")} ${short(x)}`;
}

/* The least and the greatest value of a series' bucket i, when it holds several; what spread a mean
   has there, and of how many runs it is. */
function spread({ raw, lo, hi, n }, i, band) {
  if (raw || i < 0) return "";
  const isOne = lo[i] === null || lo[i] === hi[i];
  const isDeviation = n && band === "std";
  const around = isDeviation ? `± ${short(Number(((hi[i] - lo[i]) / 2).toPrecision(2)))}`
    : `${short(lo[i])} to ${short(hi[i])}`;
  const runs = n ? `${whole(n[i])} run${n[i] === 1 ? "" : "s"}` : "";
  return [isOne ? "" : around, runs].filter(Boolean).join(", ");
}

/* Options of an axis: where its ticks stand and what they say. `kind` is step, relative, time, or
   anything else for plain numbers. */
function axis(kind, isLogarithmic) {
  if (isLogarithmic) {
    return { type: "logarithmic", afterBuildTicks: roundPowers, ticks: { callback: short } };
  }
  const perSecond = { time: 1000, relative: 1 }[kind];
  if (!perSecond) return { type: "linear", ticks: { callback: short } };
  let step = 1;
  return {
    type: "linear",
    afterBuildTicks(scale) {
      step = roundTime(scale, perSecond);
      scale.ticks = multiples(scale, step * perSecond);
    },
    ticks: {
      callback(value) {
        if (kind === "relative") return span(value);
        return tickMoment(value, step, this.max - this.min > DAY * 1000);
      },
    },
  };
}

function roundTime(scale, perSecond) {
  const most = Math.max(2, Math.floor(scale.chart.width / PIXELS_A_TICK / 1.4));
  const seconds = (scale.max - scale.min) / perSecond;
  if (seconds < most * ROUND_TIMES[0]) return roundStep(seconds / most);
  return ROUND_TIMES.find((time) => seconds / time <= most)
    ?? Math.ceil(seconds / most / (365 * DAY)) * 365 * DAY;
}

function multiples(scale, size) {
  const ticks = [];
  const last = Math.floor(scale.max / size);
  for (let n = Math.ceil(scale.min / size); n <= last; n += 1) ticks.push({ value: n * size });
  return ticks;
}

/* On a logarithmic axis the powers of ten; on a short one their double and fivefold too. */
function roundPowers(scale) {
  const decades = Math.log10(scale.max / scale.min);
  const wanted = decades > 2.5 ? [1] : [1, 2, 5];
  const every = Math.max(1, Math.ceil(decades / 6));
  const ticks = [];
  const last = Math.ceil(Math.log10(scale.max));
  for (let power = Math.floor(Math.log10(scale.min)); power <= last; power += every) {
    for (const digit of wanted) {
      const value = Number(`${digit}e${power}`);
      if (value >= scale.min && value <= scale.max) ticks.push({ value });
    }
  }
  scale.ticks = ticks.length > 1 ? ticks : roundNumbers(scale);
}

/* What is left to a logarithmic axis that is too short for that: about five round numbers. */
function roundNumbers(scale) {
  return multiples(scale, roundStep((scale.max - scale.min) / 5));
}

/* 1, 2 or 5 of some power of ten, at least as much as this. */
function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((digit) => digit * power >= rough) * power;
}

Chart.register({ id: "writing", whole, short, span, moment, position, spread, axis });
