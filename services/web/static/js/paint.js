// What is drawn of samples on the canvas of a plot: steps, dots, bad quality, what is missing, bands of states.

const DOT_SPACING = 6; // px between samples from which on each has a dot
const LEAST_BAD = 3; // px: one bad sample among thousands is seen
const LANE = 26; // css px of a lane of states
export const laneHeight = LANE;

/**
 * The rectangle and scales that painters draw with: `x(ns)` and `y(value)` give canvas px.
 * @typedef {{context, left, top, width, height, ratio, x, y, color, now}} Frame
 */

/** Walk over what was held, piece by piece: `visit(from, to, tile, index)`, in canvas px, within the frame. */
function eachHeld(frame, pieces, visit) {
  const right = frame.left + frame.width;
  for (const { tile, from, to } of pieces) {
    if (!tile) continue;
    const [start, end] = [Math.max(frame.x(from), frame.left), Math.min(frame.x(to < frame.now ? to : frame.now), right)];
    const base = frame.x(tile.from);
    const scale = frame.perNs;
    const { at } = tile;
    let index = Math.max(0, tile.indexAt(frame.from > from ? frame.from : from));
    for (; index < at.length; index += 1) {
      const left = Math.max(base + at[index] * scale, start);
      const right = index + 1 < at.length ? Math.min(base + at[index + 1] * scale, end) : end;
      if (index && left >= end) break;
      visit(left, Math.max(left, right), tile, index);
    }
  }
}

/** A line of steps through the numbers; bad ones are ringed, or the line, dense as it may be, is red where they are. */
export function paintSteps(frame, pieces, color, scale) {
  const { context, ratio } = frame;
  const line = new Line();
  const bad = new Line();
  const dots = [];
  let visible = 0;
  eachHeld(frame, pieces, (left, right, tile, index) => {
    const value = tile.values[index];
    const isBad = tile.qualities[index] === "bad";
    visible += 1;
    if (!isBad) bad.end();
    if (!Number.isFinite(value)) return line.end();
    const y = frame.y(value, scale);
    line.step(left, right, y);
    if (isBad) bad.step(left, Math.max(right, left + LEAST_BAD * ratio), y);
    if (tile.at[index] >= 0 && tile.from + BigInt(tile.at[index]) >= frame.from) dots.push([left, y, isBad]);
    return undefined;
  });
  line.end();
  bad.end();
  stroke(context, line.path, color, 1.75 * ratio);
  stroke(context, bad.path, frame.color("--bad"), 3 * ratio);
  if (visible * DOT_SPACING * ratio < frame.width) paintDots(frame, dots, color);
  return dots.length;
}

/** A path of steps; of those that fall on the same column of px only the lowest and highest are drawn. */
class Line {
  path = new Path2D();
  right = null;
  column = null;

  step(left, right, y) {
    if (this.right === null || left - this.right > 0.5) {
      this.end();
      this.path.moveTo(left, y);
    }
    const column = Math.round(left);
    if (this.column !== column) {
      this.flush();
      Object.assign(this, { column, low: y, high: y });
      this.path.lineTo(left, this.y ?? y);
    }
    this.low = Math.min(this.low, y);
    this.high = Math.max(this.high, y);
    Object.assign(this, { right, y });
  }

  /** Finish a column: over its lowest and highest to the last, which holds on. */
  flush() {
    if (this.column === null) return;
    for (const y of [this.low, this.high, this.y]) this.path.lineTo(this.column, y);
    if (this.right - this.column > 0.5) this.path.lineTo(this.right, this.y);
    this.column = null;
  }

  end() {
    this.flush();
    this.right = null;
    this.y = null;
  }
}

function stroke(context, path, color, width) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke(path);
}

function paintDots(frame, dots, color) {
  const { context, ratio } = frame;
  for (const [x, y, isBad] of dots) {
    context.beginPath();
    context.arc(x, y, (isBad ? 3.5 : 2.25) * ratio, 0, 7);
    context.fillStyle = isBad ? frame.color("--card") : color;
    context.fill();
    if (isBad) {
      context.strokeStyle = frame.color("--bad");
      context.lineWidth = 2 * ratio;
      context.stroke();
    }
  }
}

/** Hatch where nothing is known: no value one way, what could not be read the other way and in the colour of trouble. */
export function paintGaps(frame, pieces, top, height) {
  const none = [];
  eachHeld(frame, pieces, (left, right, tile, index) => {
    if (tile.qualities[index] !== "none") return;
    if (none.length && left - none.at(-1)[1] < 1) none.at(-1)[1] = right;
    else none.push([left, right]);
  });
  for (const [left, right] of none) hatch(frame, left, right, top, height, frame.color("--hatch"), 1);
  for (const { tile, from, to } of pieces) {
    if (!tile) continue;
    const lost = tile.error && !tile.at.length ? [{ from, to }] : tile.missing;
    for (const span of lost) {
      const [start, end] = [span.from > from ? span.from : from, span.to < to ? span.to : to];
      hatch(frame, frame.x(start), frame.x(end < frame.now ? end : frame.now), top, height, frame.color("--bad"), -1);
    }
  }
  return none;
}

function hatch(frame, from, to, top, height, color, direction) {
  const { context, ratio } = frame;
  const [left, right] = [Math.max(frame.left, from), Math.min(frame.left + frame.width, to)];
  if (right <= left) return;
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, height);
  context.clip();
  context.strokeStyle = color;
  context.globalAlpha = direction > 0 ? 1 : 0.35;
  context.lineWidth = 1.5 * ratio;
  context.beginPath();
  const step = (direction > 0 ? 8 : 12) * ratio;
  const first = frame.left + Math.floor((left - frame.left - height) / step) * step;
  for (let x = first; x < right + height; x += step) {
    context.moveTo(x, direction > 0 ? top + height : top);
    context.lineTo(x + height, direction > 0 ? top : top + height);
  }
  context.stroke();
  context.restore();
}

/** A lane of coloured bands with the names of states; what changes faster than can be seen is drawn grey. */
export function paintBands(frame, pieces, top, nameOf) {
  const { context, ratio } = frame;
  const height = (LANE - 6) * ratio;
  const bands = [];
  eachHeld(frame, pieces, (left, right, tile, index) => {
    const text = tile.qualities[index] === "none" ? null : tile.texts[index];
    const bad = tile.qualities[index] === "bad";
    const last = bands.at(-1);
    if (last && last.text === text && last.bad === bad && left - last.right < 1) last.right = right;
    else if (last && last.right - last.left < ratio && left - last.right < 1) Object.assign(last, { right, text: undefined });
    else bands.push({ left, right, text, bad });
  });
  context.font = `${12 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  for (const { left, right, text, bad } of bands) {
    if (text === null) continue; // hatched
    const width = Math.max(right - left, ratio);
    context.fillStyle = text === undefined ? frame.color("--muted") : stateColor(text);
    context.fillRect(left, top, width, height);
    if (bad) {
      context.strokeStyle = frame.color("--bad");
      context.lineWidth = 2 * ratio;
      context.strokeRect(left + ratio, top + ratio, width - 2 * ratio, height - 2 * ratio);
    }
    if (text !== undefined) write(frame, nameOf(text), left + 5 * ratio, top + height / 2, width - 8 * ratio);
  }
}

function write(frame, text, x, y, width) {
  const { context } = frame;
  if (width < 10 * frame.ratio) return;
  let shown = text;
  while (shown.length > 1 && context.measureText(shown).width > width) shown = `${shown.slice(0, shown.endsWith("…") ? -2 : -1)}…`;
  context.fillStyle = "#10161d";
  if (shown.length > 1 || text.length === 1) context.fillText(shown, x, y);
}

/** The same colour for the same state everywhere; dark text is readable on each. */
export function stateColor(text) {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return `hsl(${((hash >>> 0) % 24) * 15} 62% ${70 + ((hash >>> 8) % 3) * 5}%)`;
}

/** A boolean as a step between the lower and upper edge of its lane. */
export function paintLevels(frame, pieces, top, color) {
  const height = (LANE - 6) * frame.ratio;
  const lane = { ...frame, y: (value) => top + height - 2 * frame.ratio - (value ? height - 4 * frame.ratio : 0) };
  paintSteps(lane, pieces, color);
}
