// The table below a plot: each element's value at the cursor (or the newest), and statistics of what is visible.

import { make, svgNode } from "./dom.js";
import { count, number, valueText } from "./format.js";
import { shownTime, zoneName } from "./time.js";

const STATISTICS = ["min", "max", "mean", "count"];
const PLOT = { width: 160, height: 36 };

export class Values {
  /** In `root`, of samples in `series`; `removed(name)` is called when somebody takes an element away. */
  constructor(root, series, { removed }) {
    Object.assign(this, { root, series, removed, rows: new Map(), cursor: null, to: 0n });
  }

  /** Show these elements. */
  show(elements) {
    this.when = make("th", { scope: "col" }, "Time");
    const numbers = STATISTICS.map((text) => make("th", { scope: "col", className: "number" }, text));
    const head = make("tr", {}, make("th", { scope: "col" }, "Element"), make("th", { scope: "col", className: "number" }, "Value"), make("th", { scope: "col" }, "Quality"), this.when, ...numbers, make("th", { scope: "col" }, make("span", { className: "hidden" }, "Remove")));
    this.rows = new Map(elements.map((element) => [element.name, this.row(element)]));
    const body = make("tbody", {}, [...this.rows.values()].map(({ node }) => node));
    const table = make("table", { className: "stack" }, make("thead", {}, head), body);
    this.root.replaceChildren(...(elements.length ? [make("div", { className: "scroll", tabIndex: 0, role: "region", aria: { label: "Values" } }, table)] : []));
    this.refresh();
  }

  row(element) {
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = `var(--series-${(element.slot ?? 0) + 1})`;
    const name = make("th", { scope: "row", title: element.description }, swatch, make("span", { className: "name" }, element.name));
    const field = (label, className = "") => make("td", { className, data: { label } });
    const cells = { value: field("Value", "number value"), quality: field("Quality"), time: field("Time"), ...Object.fromEntries(STATISTICS.map((key) => [key, field(key, "number")])) };
    if (element.error) cells.value.append(make("span", { className: "error" }, element.error));
    const remove = make("button", { type: "button", className: "remove", title: `Take ${element.name} away`, aria: { label: `Take ${element.name} away` }, onclick: () => this.removed(element.name) }, "×");
    const node = make("tr", { data: { element: element.name } }, name, Object.values(cells), make("td", {}, remove));
    return { element, node, cells };
  }

  /** The cursor is at an instant; null: it is not in the plot, and the newest values are shown. */
  point(time) {
    this.cursor = time;
    this.refresh();
  }

  /** The end of what is visible. */
  look(to) {
    this.to = to;
    this.refresh();
  }

  refresh() {
    if (!this.when) return;
    const time = this.cursor ?? this.to - 1n;
    this.when.textContent = `${this.cursor === null ? "Time" : `At ${shownTime(this.cursor)}`}, ${zoneName()}`;
    for (const { element, cells } of this.rows.values()) {
      if (element.error) continue;
      const sample = this.series.at(element.name, time);
      if (cells.shown === sample?.time && cells.text === sample?.text && cells.zone === zoneName()) continue;
      Object.assign(cells, { shown: sample?.time, text: sample?.text, zone: zoneName() });
      this.fill(element, cells, sample);
    }
  }

  fill(element, { value, quality, time }, sample) {
    const isArray = sample?.text?.startsWith("[") && element.kind.endsWith("s");
    if (isArray) value.replaceChildren(smallPlot(sample.text, element));
    else value.replaceChildren(make("span", {}, make("output", {}, sample ? valueText(sample.text, element) : "–"), element.unit && make("span", { className: "muted" }, ` ${element.unit}`)));
    quality.replaceChildren(sample ? make("span", { className: "badge", data: { quality: sample.quality } }, sample.word) : "");
    time.textContent = sample ? shownTime(sample.time) : "";
  }

  /** Show aggregates of what is visible, rows by element. */
  statistics(rows, numeric) {
    const found = new Map(rows.map((row) => [row.element, row]));
    for (const { element, cells } of this.rows.values()) {
      const row = found.get(element.name) ?? {};
      for (const key of STATISTICS) {
        const has = row[key] !== null && row[key] !== undefined;
        if (key === "count") cells[key].textContent = has ? count(Number(row[key])) : "";
        else if (!has || !numeric.has(element.kind)) cells[key].textContent = "";
        else cells[key].textContent = key === "mean" ? number(Number(Number(row[key]).toPrecision(6)), element.precision) : valueText(row[key], element);
      }
    }
  }
}

/** An array as a line, and its lowest and highest value. */
function smallPlot(text, { unit, slot }) {
  const items = JSON.parse(text.replace(/\bNaN\b|-?\bInfinity\b/g, "null")).map((item) => (item === null ? NaN : Number(item)));
  const present = items.filter(Number.isFinite);
  if (!present.length) return make("output", {}, valueText(text));
  const [low, high] = present.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
  const x = (index) => 2 + (index / Math.max(1, items.length - 1)) * (PLOT.width - 4);
  const y = (value) => PLOT.height - 3 - ((value - low) / (high - low || 1)) * (PLOT.height - 6);
  const points = items.flatMap((value, index) => (Number.isFinite(value) ? [`${x(index).toFixed(1)},${y(value).toFixed(1)}`] : []));
  const svg = svgNode("svg", { ...PLOT, role: "img", "aria-label": valueText(text) }, svgNode("polyline", { points: points.join(" "), fill: "none", stroke: `var(--series-${slot + 1})`, "stroke-width": "1.5" }));
  const words = `${items.length} values, ${number(Number(low.toPrecision(4)))} to ${number(Number(high.toPrecision(4)))} ${unit}`;
  return make("span", { className: "array" }, svg, make("span", { className: "muted" }, words));
}
