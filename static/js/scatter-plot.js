/* <scatter-plot data-fields data-runs data-scales>: whole runs as points over two of their values.

   data-fields names x, y and, if any, what colours the points; data-runs is a list of {id, name,
   ink, url, values}; data-scales says of x and y log, linear or "". The run nearest to the pointer
   is told in [data-readout] and stands out; a click opens it. */

const NEAR = 24;
const EVENTS = ["pointermove", "pointerleave", "click"];
const values = Chart.registry.getPlugin("values");

class ScatterPlot extends HTMLElement {
  connectedCallback() {
    values.open(this, EVENTS);
  }

  disconnectedCallback() {
    values.close(this, EVENTS);
  }

  handleEvent(event) {
    if (event.type === "colours-changed") this.draw();
    else if (event.type === "pointermove") this.point(event);
    else if (event.type === "click") this.open();
    else this.light(null);
  }

  draw() {
    this.chart?.destroy();
    const ink = (name) => getComputedStyle(this).getPropertyValue(name).trim();
    const column = (n) => this.runs.map((run) => run.values[n]);
    const isColoured = this.fields.length > 2;
    const colours = isColoured ? values.colours(column(2), ink)
      : this.runs.map((run) => ink(`--run-${run.ink}`));
    const [xScale, yScale] = JSON.parse(this.dataset.scales);
    const [x, y] = [values.axis(column(0), xScale), values.axis(column(1), yScale)];
    const data = this.runs.map(({ values: [across, up] }) => ({
      x: x.place(across) ?? NaN,
      y: y.place(up) ?? NaN,
    }));
    this.chart = new Chart(this.canvas, {
      type: "scatter",
      data: { datasets: [this.dots(data, colours)] },
      options: {
        events: [],
        layout: { padding: 8 },
        scales: {
          x: values.scaleOptions(x, this.fields[0]),
          y: values.scaleOptions(y, this.fields[1]),
        },
      },
    });
    this.explain(isColoured ? values.legend(column(2), ink) : []);
  }

  dots(data, colours) {
    return {
      data,
      backgroundColor: ({ dataIndex }) => colours[dataIndex],
      borderColor: ({ dataIndex }) => colours[dataIndex],
      borderWidth: ({ dataIndex }) => (dataIndex === this.lit ? 5 : 1),
      pointRadius: 4,
    };
  }

  /* What the colours mean. */
  explain(pairs) {
    const place = this.querySelector("[data-legend]");
    place.replaceChildren(...pairs.map(([colour, text]) => {
      const item = document.createElement("li");
      const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      swatch.setAttribute("class", "swatch");
      swatch.setAttribute("viewBox", "0 0 12 12");
      const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      for (const [name, value] of [["cx", 6], ["cy", 6], ["r", 5], ["fill", colour]]) dot.setAttribute(name, value);
      swatch.append(dot);
      item.append(swatch, text);
      return item;
    }));
  }

  /* --- Pointing ---------------------------------------------------------------------------- */

  point({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    const at = { left: clientX - box.left, top: clientY - box.top };
    let [best, least] = [null, NEAR];
    this.chart.getDatasetMeta(0).data.forEach(({ x, y }, i) => {
      const away = Math.hypot(x - at.left, y - at.top);
      if (away < least) [best, least] = [i, away];
    });
    this.light(best, at);
  }

  light(i, at) {
    values.tell(this.querySelector("[data-readout]"), this.runs[i], this.fields, at);
    this.canvas.classList.toggle("plot-pointed", i !== null);
    if (i === this.lit) return;
    this.lit = i;
    this.chart.update();
  }

  open() {
    if (this.lit !== null) location.assign(this.runs[this.lit].url);
  }
}

customElements.define("scatter-plot", ScatterPlot);
