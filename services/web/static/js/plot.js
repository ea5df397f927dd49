// A plot of several elements over time: axes by unit, lanes of states below, pan, zoom, a cursor. Times are ns.

import { colorOf } from "./dom.js";
import { gestures } from "./gestures.js";
import { laneHeight, paintBands, paintGaps, paintLevels, paintSteps } from "./paint.js";
import { now, offsetAt, SECOND, shownTime } from "./time.js";

const MOST_AXES = 4;
const LABEL_ROOM = 20; // px
const LANES = new Set(["text", "enum", "bool"]);
const STEPS = [1, 2, 5].flatMap((n) => Array.from({ length: 10 }, (_, power) => n * 10 ** power)).sort((a, b) => a - b);
const COARSE = [10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
/** Distances of marks on the axis of time, ns. */
const TICKS = [...STEPS.filter((step) => step < 1e10), ...COARSE.map((s) => s * 1e9), ...[2, 5, 7, 14, 30, 60, 91, 182, 365, 730, 1825].map((d) => d * 86400e9)];

/** Which elements share an axis: one for each unit, at most four; what is more goes on the last. */
export function axesOf(elements) {
  const units = [...new Set(elements.filter(({ kind }) => !LANES.has(kind)).map(({ unit }) => unit))];
  return units.length <= MOST_AXES ? units.map((unit) => [unit]) : [...units.slice(0, MOST_AXES - 1).map((unit) => [unit]), units.slice(MOST_AXES - 1)];
}

/**
 * A plot in `root`. `series` gives pieces of samples (series.js); `moved(from, to)` is called when somebody pans or
 * zooms, `pointed(time)` when the cursor moves (null: it left).
 *
 * `show(elements)` sets `{name, kind, unit, color, states}`; `look(from, to)` the range; `draw()` draws again;
 * `addOverlay(paint)` has `paint(frame)` called on top of each drawing, until the function it returns is called:
 * `frame.x(ns)` and `frame.y(value, axis)` give canvas px.
 */
export class Plot {
  constructor(root, series, { moved, pointed }) {
    Object.assign(this, { root, series, moved, pointed, elements: [], axes: [], from: 0n, to: SECOND, overlays: new Set(), frames: 0 });
    this.sized = new ResizeObserver(() => this.chart?.setSize(this.size()));
    this.sized.observe(root);
    this.recolor = () => this.show(this.elements);
    document.addEventListener("colors", this.recolor);
    document.addEventListener("zone", this.draw);
  }

  close() {
    this.sized.disconnect();
    document.removeEventListener("colors", this.recolor);
    document.removeEventListener("zone", this.draw);
    cancelAnimationFrame(this.pending);
    this.letGo?.();
    this.chart?.destroy();
    this.chart = null; // what comes late draws nothing
  }

  /** How many px wide the plot is: twice as many points are asked for. */
  get width() {
    return Math.round(this.chart ? this.chart.bbox.width / devicePixelRatio : this.root.clientWidth) || 600;
  }

  get canvas() {
    return this.chart.ctx.canvas;
  }

  size() {
    return { width: this.root.clientWidth, height: this.root.clientHeight };
  }

  show(elements) {
    this.elements = elements;
    this.axes = axesOf(elements);
    this.lanes = elements.filter(({ kind }) => LANES.has(kind));
    this.colors = {};
    this.floors = [];
    this.letGo?.();
    this.chart?.destroy();
    this.chart = new uPlot(this.options(), [[0, 1], ...(this.axes.length ? this.axes : [0]).map(() => [null, null])], this.root);
    this.letGo = gestures(this.chart.over, this);
    this.look(this.from, this.to);
  }

  look(from, to) {
    [this.from, this.to] = [from, to];
    this.draw();
  }

  draw = () => {
    cancelAnimationFrame(this.pending);
    this.pending = requestAnimationFrame(() => this.drawNow());
  };

  drawNow() {
    if (!this.chart) return;
    this.frames += 1;
    const held = this.elements.map((element) => [element, this.series.pieces(element.name, this.from, this.to)]);
    this.held = new Map(held);
    this.chart.batch(() => {
      this.chart.setScale("x", { min: 0, max: Number(this.to - this.from) });
      this.axes.forEach((units, index) => this.chart.setScale(`y${index}`, this.boundsOf(units)));
    });
    this.chart.redraw(false, true);
  }

  /** The lowest and highest number that an axis has to show, with room for the lanes below. */
  boundsOf(units) {
    let [low, high] = [Infinity, -Infinity];
    for (const [element, pieces] of this.held) {
      if (LANES.has(element.kind) || !units.includes(element.unit)) continue;
      for (const { tile, from, to } of pieces) {
        if (!tile) continue;
        const [first, last] = [from > this.from ? from : this.from, to < this.to ? to : this.to];
        const end = tile.indexAt(last);
        for (let i = Math.max(0, tile.indexAt(first)); i <= end; i += 1) {
          const value = tile.values[i];
          if (value < low) low = value;
          if (value > high) high = value;
        }
      }
    }
    if (!Number.isFinite(low + high)) [low, high] = [0, 1];
    const margin = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
    [low, high] = [low - margin, high + margin];
    const height = this.chart.over.clientHeight || 300;
    const lanes = Math.min(this.lanes.length * laneHeight + 4, height * 0.8);
    this.floors[this.axes.indexOf(units)] = low; // below it are the lanes
    return { min: this.lanes.length ? low - ((high - low) * lanes) / (height - lanes) : low, max: high };
  }

  options() {
    const axis = { stroke: this.color("--muted"), grid: { stroke: this.color("--line"), width: 1 }, ticks: { stroke: this.color("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const time = {
      ...axis,
      space: 90,
      splits: (self, index, min, max, incr, space) => this.marks((space / (self.bbox.width / devicePixelRatio || self.width)) * Number(this.to - this.from)),
      values: (self, splits) => this.markTexts(splits),
    };
    const sides = this.axes.map((units, index) => ({
      ...axis,
      scale: `y${index}`,
      side: index % 2 ? 1 : 3,
      grid: { ...axis.grid, show: index === 0 },
      label: units.filter(Boolean).join(", ") || undefined,
      labelSize: 18,
      labelFont: "12px system-ui, sans-serif",
      values: (self, ticks) => ticks.map((tick) => (tick === null || tick < this.floors[index] ? "" : short(tick))),
      size: (self, labels) => Math.max(44, ...(labels ?? []).map((label) => String(label ?? "").length * 7 + 16)),
    }));
    const scales = Object.fromEntries(this.axes.map((units, index) => [`y${index}`, { auto: false, min: 0, max: 1 }]));
    return {
      ...this.size(),
      legend: { show: false },
      scales: { x: { time: false, auto: false, min: 0, max: 1 }, y: { auto: false, min: 0, max: 1 }, ...scales },
      axes: [time, ...(sides.length ? sides : [{ show: false }])],
      series: [{}, ...(this.axes.length ? this.axes.map((units, index) => ({ scale: `y${index}`, show: true, points: { show: false } })) : [{ scale: "y" }])],
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      padding: [10, this.axes.length > 1 ? 0 : 14, 0, this.axes.length ? 0 : 14],
      hooks: { drawAxes: [() => this.paintBelow()], draw: [() => this.paint()], setCursor: [(self) => this.point(self.cursor.left)] },
    };
  }

  point(left) {
    const time = left === undefined || left < 0 ? null : this.from + BigInt(Math.round((left / this.chart.over.clientWidth) * Number(this.to - this.from)));
    this.pointed(time);
  }

  color = (token) => (this.colors[token] ??= colorOf(token));

  frame() {
    const { ctx: context, bbox } = this.chart;
    const perNs = bbox.width / Number(this.to - this.from);
    const { left, top, width, height } = bbox;
    return {
      ...{ context, left, top, width, height, perNs, from: this.from, to: this.to, now: now(), ratio: devicePixelRatio },
      color: this.color,
      x: (time) => left + Number(time - this.from) * perNs,
      y: (value, scale = "y0") => this.chart.valToPos(value, scale, true),
    };
  }

  laneTop(index) {
    const { top, height } = this.chart.bbox;
    return top + height - (this.lanes.length - index) * laneHeight * devicePixelRatio + 2 * devicePixelRatio;
  }

  paintBelow() {
    if (!this.held) return;
    const frame = this.frame();
    const several = this.elements.length - this.lanes.length > 1;
    const strip = 9 * frame.ratio;
    const room = this.lanes.length * laneHeight * frame.ratio;
    let number = 0;
    this.gaps = {};
    for (const [element, pieces] of this.held) {
      const lane = this.lanes.indexOf(element);
      const [top, height] =
        lane >= 0
          ? [this.laneTop(lane), (laneHeight - 6) * frame.ratio]
          : several
            ? [frame.top + strip * number++, strip - 2 * frame.ratio]
            : [frame.top, frame.height - room];
      this.gaps[element.name] = paintGaps(frame, pieces, top, height);
    }
  }

  paint() {
    if (!this.held) return;
    const frame = this.frame();
    const { context } = frame;
    context.save();
    context.beginPath();
    context.rect(frame.left, frame.top, frame.width, frame.height);
    context.clip();
    this.dots = {};
    for (const [element, pieces] of this.held) {
      const lane = this.lanes.indexOf(element);
      const axis = this.axes.findIndex((units) => units.includes(element.unit));
      if (element.kind === "bool") paintLevels(frame, pieces, this.laneTop(lane), element.color);
      else if (lane >= 0) paintBands(frame, pieces, this.laneTop(lane), (text) => element.states?.[text] ?? text);
      else this.dots[element.name] = paintSteps(frame, pieces, element.color, `y${axis}`);
    }
    for (const overlay of this.overlays) overlay(frame);
    context.restore();
  }

  addOverlay(paint) {
    this.overlays.add(paint);
    this.draw();
    return () => {
      this.overlays.delete(paint);
      this.draw();
    };
  }

  /** Marks on the axis of time, at round times of the zone; `least` ns from each other. */
  marks(least) {
    this.step = TICKS.find((step) => step >= least) ?? TICKS.at(-1);
    const step = BigInt(Math.round(this.step));
    const offset = offsetAt(this.from);
    const first = ((this.from + offset + step - 1n) / step) * step - offset;
    const found = [];
    for (let time = first; time <= this.to; time += step) found.push(Number(time - this.from));
    return found;
  }

  markTexts(splits) {
    const digits = this.step >= 1e9 ? 0 : Math.ceil(9 - Math.log10(this.step) - 1e-9);
    const last = this.axes.length > 1 ? Infinity : Number(this.to - this.from) * (1 - LABEL_ROOM / this.width); // further right it would be cut
    return splits.map((at, index) => {
      if (at > last) return "";
      const text = shownTime(this.from + BigInt(Math.round(at)), digits);
      const [day, clock] = text.split(" ");
      const isNew = index === 0 || shownTime(this.from + BigInt(Math.round(splits[index - 1])), 0).slice(0, 10) !== day;
      if (this.step >= 86400e9) return day;
      const short = this.step >= 60e9 ? clock.slice(0, 5) : clock;
      return isNew ? `${short}\n${day}` : short;
    });
  }
}

function short(value) {
  const text = String(Number(value.toPrecision(8)));
  return text.length > 8 ? value.toExponential(2).replace("+", "") : text;
}
