/* <parallel-plot data-fields data-runs>: whole runs as lines across upright axes, one for each of
   the fields, coloured by the last.

   data-fields is a list of names, data-runs one of {id, name, ink, url, values}. The run nearest to
   the pointer is told in [data-readout] and stands out; a click opens it. Dragging along an axis
   keeps the runs that pass there; [data-kept] says how many, and the button [data-all] lets all
   go. */

const NEAR = 24;
const GRASP = 14;
const EVENTS = ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"];
const values = Chart.registry.getPlugin("values");

class ParallelPlot extends HTMLElement {
  connectedCallback() {
    this.kept = new Map(); // number of an axis → the stretch of it that is kept, 0 to 1
    this.all = this.querySelector("[data-all]");
    this.all.addEventListener("click", this);
    values.open(this, EVENTS);
  }

  disconnectedCallback() {
    this.all.removeEventListener("click", this);
    values.close(this, EVENTS);
  }

  handleEvent(event) {
    if (event.type === "colours-changed") this.draw();
    else if (event.type === "pointerdown") this.begin(event);
    else if (event.type === "pointermove") this.moved(event);
    else if (event.type === "pointerup") this.end();
    else if (event.type === "click") this.keep(new Map());
    else this.light(null);
  }

  /* --- Drawing ----------------------------------------------------------------------------- */

  draw() {
    this.chart?.destroy();
    const ink = (name) => getComputedStyle(this).getPropertyValue(name).trim();
    const columns = this.fields.map((_, n) => this.runs.map((run) => run.values[n]));
    this.axes = columns.map((column) => values.axis(column));
    const colours = values.colours(columns.at(-1), ink);
    const [faint, label] = [ink("--line"), ink("--ink")];
    const datasets = this.runs.map((run, i) => ({
      data: this.axes.map((axis, n) => values.share(axis, run.values[n])),
      borderColor: () => (this.isKept(i) ? colours[i] : faint),
      backgroundColor: () => (this.isKept(i) ? colours[i] : faint),
      borderWidth: () => (i === this.lit ? 3.5 : 1.5),
      pointRadius: 2,
      pointBorderWidth: 0,
      cubicInterpolationMode: "monotone",
    }));
    const ticks = { color: label, autoSkip: false, callback: (n) => values.cut(this.fields[n]) };
    this.chart = new Chart(this.canvas, {
      type: "line",
      data: { labels: this.fields, datasets },
      options: {
        events: [],
        layout: { padding: { left: 8, right: 64, top: 10 } },
        scales: { x: { grid: { display: false }, ticks }, y: { display: false, min: 0, max: 1 } },
      },
      plugins: [{ id: "axes", afterDatasetsDraw: (chart) => this.rules(chart, ink) }],
    });
  }

  /* The upright axes with a few of their values, and the stretches that are kept. */
  rules({ ctx, chartArea: { top, bottom }, scales: { x } }, ink) {
    ctx.save();
    ctx.font = `11px ${getComputedStyle(this).fontFamily}`;
    ctx.textBaseline = "middle";
    ctx.lineJoin = "round";
    const at = (part) => bottom - part * (bottom - top);
    this.axes.forEach((axis, n) => {
      const left = x.getPixelForValue(n);
      ctx.fillStyle = ink("--muted");
      ctx.fillRect(left - 0.5, top, 1, bottom - top);
      if (this.kept.has(n)) {
        const [low, high] = this.kept.get(n);
        ctx.fillStyle = ink("--accent");
        ctx.globalAlpha = 0.4;
        ctx.fillRect(left - 5, at(high), 10, at(low) - at(high));
        ctx.globalAlpha = 1;
      }
      ctx.strokeStyle = ink("--surface");
      ctx.lineWidth = 3;
      for (const value of marks(axis)) {
        const place = [values.cut(values.written(value)), left + 6, at(values.share(axis, value))];
        ctx.strokeText(...place);
        ctx.fillStyle = ink("--muted");
        ctx.fillText(...place);
      }
    });
    ctx.restore();
  }

  /* --- Pointing ---------------------------------------------------------------------------- */

  place({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    return { left: clientX - box.left, top: clientY - box.top };
  }

  moved(event) {
    const at = this.place(event);
    if (this.dragging) this.stretch(at);
    else this.light(this.nearest(at), at);
  }

  nearest({ left, top }) {
    let [best, least] = [null, NEAR];
    this.runs.forEach((run, i) => {
      const points = this.chart.getDatasetMeta(i).data;
      const after = Math.max(1, points.findIndex((point) => point.x >= left));
      const [one, other] = [points[after - 1], points[after] ?? points[after - 1]];
      const part = other.x > one.x ? Math.min(Math.max((left - one.x) / (other.x - one.x), 0), 1) : 0;
      const away = Math.abs(one.y + (other.y - one.y) * part - top);
      if (away < least && this.isKept(i)) [best, least] = [i, away];
    });
    return best;
  }

  light(i, at) {
    values.tell(this.querySelector("[data-readout]"), this.runs[i], this.fields, at);
    if (i === this.lit) return;
    this.lit = i;
    this.chart.update();
  }

  /* --- Keeping some ------------------------------------------------------------------------ */

  begin(event) {
    if (event.button !== 0) return;
    const { left, top } = this.place(event);
    const { x } = this.chart.scales;
    const n = this.axes.findIndex((_, axis) => Math.abs(x.getPixelForValue(axis) - left) < GRASP);
    if (n < 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.dragging = { n, from: this.part(top) };
  }

  part(pixel) {
    const { top, bottom } = this.chart.chartArea;
    return Math.min(Math.max((bottom - pixel) / (bottom - top), 0), 1);
  }

  stretch({ top }) {
    const { n, from } = this.dragging;
    const ends = [from, this.part(top)].sort((one, other) => one - other);
    this.keep(new Map([...this.kept, [n, ends]]));
  }

  end() {
    const { dragging } = this;
    this.dragging = null;
    if (!dragging) {
      if (this.lit !== null) location.assign(this.runs[this.lit].url);
      return;
    }
    const [low, high] = this.kept.get(dragging.n) ?? [0, 0];
    const kept = new Map(this.kept);
    if (high - low < 0.01) kept.delete(dragging.n);
    this.keep(kept);
  }

  keep(kept) {
    this.kept = kept;
    this.light(null);
    this.chart.update();
    const count = this.runs.filter((_, i) => this.isKept(i)).length;
    this.querySelector("[data-kept]").textContent = kept.size
      ? `${count} of ${this.runs.length} runs kept` : "";
    this.all.hidden = !kept.size;
  }

  isKept(i) {
    return [...this.kept].every(([n, [low, high]]) => {
      const part = values.share(this.axes[n], this.runs[i].values[n]);
      return part !== null && part >= low && part <= high;
    });
  }
}

/* The values that are written beside an axis: every text, or both ends and the middle. */
function marks({ names, least, greatest }) {
  if (names) return names.length > 16 ? [names[0], names.at(-1)] : names;
  if (least === undefined) return [];
  return least === greatest ? [least] : [least, greatest];
}

customElements.define("parallel-plot", ParallelPlot);
