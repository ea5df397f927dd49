// Samples for a plot: fetched in pieces of time ("tiles") around what is visible, kept, and given up when overtaken.

import { askRows, isAborted, wordsOf } from "./api.js";
import { qualityOf } from "./format.js";
import { EARLIEST, isoOf, LATEST, now, parseTime, SECOND } from "./time.js";

const KEPT = 400; // tiles; each has some thousand samples
const REFRESH_NS = 30n * SECOND; // late samples and corrections come in with the next look at what is still open
const RETRY_NS = 5n * SECOND;
const RECENT = 1000; // live samples that an answer under way may lack
const MARGIN = 1n; // tiles on either side, ahead of panning

/**
 * Samples of one element in one tile, `[from, to)`. `at` are ns since `from`; the first may be negative: the sample
 * that held at the start. `quality` is "good", "bad" or "none". `missing` are spans that nobody could answer for.
 */
class Tile {
  constructor(from, to) {
    Object.assign(this, { from, to, at: [], values: [], texts: [], words: [], qualities: [], missing: [], error: "", asked: 0n });
  }

  add(time, text, status) {
    const [quality, word] = qualityOf(status, text !== null);
    const number = text === "true" ? 1 : text === "false" ? 0 : text === null || text === "" ? NaN : Number(text);
    this.at.push(Number(time - this.from));
    this.values.push(quality === "none" ? NaN : number);
    this.texts.push(text);
    this.words.push(word);
    this.qualities.push(quality);
  }

  /** Index of the sample that held at an instant; -1 for none. */
  indexAt(time) {
    const at = Number(time - this.from);
    let [low, high] = [0, this.at.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at[middle] <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Tiles of elements; `changed()` is called when there is something new to draw. */
export class Series {
  constructor(changed) {
    this.changed = changed;
    this.tiles = new Map();
    this.requests = new Set();
    this.recent = [];
    this.length = 0n;
    this.before = 0n;
  }

  /** Have the samples of elements for a range and a margin, about `points` per range; what nobody wants is given up. */
  want(names, from, to, points) {
    const length = lengthFor(to - from);
    if (length !== this.length) [this.before, this.length] = [this.length, length];
    const [first, last] = [from / length, (to - 1n) / length];
    const wanted = new Set();
    const visible = this.lacking(names, first, last, wanted);
    const ahead = [...this.lacking(names, first - MARGIN, first - 1n, wanted), ...this.lacking(names, last + 1n, last + MARGIN, wanted)];
    for (const request of this.requests) {
      if (!request.keys.some((key) => wanted.has(key))) request.abort.abort();
    }
    for (const run of [...visible, ...ahead]) this.fetch(run, points);
  }

  /** Runs of neighbouring tiles that are not there, not on their way, or too old. */
  lacking(names, first, last, wanted) {
    const runs = [];
    const onTheWay = new Set([...this.requests].flatMap((request) => (request.abort.signal.aborted ? [] : request.keys)));
    for (const name of names) {
      let run = null;
      for (let index = first; index <= last; index += 1n) {
        const key = this.key(name, index);
        wanted.add(key);
        if (onTheWay.has(key) || this.isFresh(this.tiles.get(key))) run = null;
        else if (run) run.last = index;
        else runs.push((run = { names: [name], first: index, last: index }));
      }
    }
    return joined(runs);
  }

  isFresh(tile) {
    if (!tile) return false;
    const age = now() - tile.asked;
    if (tile.error) return age < RETRY_NS;
    return tile.asked > tile.to + REFRESH_NS || age < REFRESH_NS;
  }

  key = (name, index, length = this.length) => `${length} ${index} ${name}`;

  async fetch({ names, first, last }, points) {
    const length = this.length;
    const tiles = Number(last - first) + 1;
    const keys = names.flatMap((name) => Array.from({ length: tiles }, (_, i) => this.key(name, first + BigInt(i), length)));
    const request = { keys, abort: new AbortController() };
    this.requests.add(request);
    const [from, to] = [first * length, (last + 1n) * length];
    const made = new Map(names.map((name) => [name, Array.from({ length: tiles }, (_, i) => new Tile(from + BigInt(i) * length, from + BigInt(i + 1) * length))]));
    const asked = now();
    try {
      const [start, end] = [from < EARLIEST ? EARLIEST : from, to > LATEST ? LATEST : to];
      const parameters = [["start", isoOf(start)], ["end", isoOf(end)], ["before", "1"], ["points", String(points * tiles)]];
      const query = [...names.map((name) => ["element", name]), ...parameters];
      const answer = start < end ? await askRows(query, { signal: request.abort.signal }) : { rows: [], outcome: null };
      fill(made, answer, from, length);
    } catch (error) {
      if (isAborted(error)) return;
      for (const tile of [...made.values()].flat()) tile.error = wordsOf(error);
    } finally {
      this.requests.delete(request);
    }
    if (request.abort.signal.aborted) return;
    for (const [name, row] of made) row.forEach((tile, i) => this.put(this.key(name, first + BigInt(i), length), tile, asked));
    for (const sample of this.recent) this.take(...sample); // they came while the answer was made
    this.changed();
  }

  put(key, tile, asked) {
    const old = this.tiles.get(key);
    tile.asked = asked;
    if (old && tile.error && !old.error) Object.assign(tile, { ...old, error: tile.error, asked }); // better old than none
    this.tiles.delete(key);
    this.tiles.set(key, tile);
    for (const oldest of this.tiles.keys()) {
      if (this.tiles.size <= KEPT) break;
      this.tiles.delete(oldest);
    }
  }

  /** What there is of an element in a range, in order: `{tile, from, to}`; a null tile where nothing has come yet. */
  pieces(name, from, to) {
    if (!this.length) return [{ tile: null, from, to }];
    const found = [];
    for (let index = from / this.length; index * this.length < to; index += 1n) {
      const tile = this.tiles.get(this.key(name, index));
      const [start, end] = [index * this.length, (index + 1n) * this.length];
      if (tile) found.push({ tile, from: start, to: end });
      else found.push(...this.standIns(name, start, end));
    }
    return found;
  }

  /** What was there before the zoom, for as long as nothing better is. */
  standIns(name, from, to) {
    const found = [];
    if (this.before) {
      for (let index = from / this.before; index * this.before < to; index += 1n) {
        const tile = this.tiles.get(this.key(name, index, this.before));
        const [start, end] = [index * this.before, (index + 1n) * this.before];
        if (tile) found.push({ tile, from: start > from ? start : from, to: end < to ? end : to });
      }
    }
    return found.length ? found : [{ tile: null, from, to }];
  }

  /** The sample that held at an instant: `{time, text, value, quality, word}`; null for none that is known here. */
  at(name, time) {
    const [piece] = this.pieces(name, time, time + 1n);
    const index = piece?.tile ? piece.tile.indexAt(time) : -1;
    if (index < 0) return null;
    const { from, at, texts, values, qualities, words } = piece.tile;
    return { time: from + BigInt(at[index]), text: texts[index], value: values[index], quality: qualities[index], word: words[index] };
  }

  /** Take a live sample in. */
  append(...sample) {
    if (this.recent.push(sample) > 2 * RECENT) this.recent.splice(0, RECENT);
    this.take(...sample);
  }

  /** Put a live sample into its tile, if that is there and ends before it. */
  take(name, time, text, status) {
    const tile = this.tiles.get(this.key(name, time / this.length));
    if (!tile || time - tile.from <= (tile.at.at(-1) ?? -1)) return;
    tile.add(time, text, status);
  }

  /** Ask again for whatever is still open, when it is wanted next. */
  expire() {
    for (const tile of this.tiles.values()) if (tile.asked <= tile.to + REFRESH_NS) tile.asked = 0n;
  }

  close() {
    for (const request of this.requests) request.abort.abort();
  }
}

/** The length of tiles for a visible length: the power of two between its half and itself. */
function lengthFor(visible) {
  let length = 2n;
  while (length * 2n <= visible) length *= 2n;
  return length;
}

/** Runs over the same tiles as one, for several elements: one request. */
function joined(runs) {
  const found = new Map();
  for (const { names, first, last } of runs) {
    const key = `${first} ${last}`;
    if (found.has(key)) found.get(key).names.push(...names);
    else found.set(key, { names: [...names], first, last });
  }
  return [...found.values()];
}

/** Put the rows of an answer into their tiles; each tile begins with the sample that held at its start. */
function fill(made, { rows, outcome }, from, length) {
  const held = new Map();
  for (const [name, iso, text, status] of rows) {
    const tiles = made.get(name);
    const time = parseTime(iso);
    if (!tiles) continue;
    const index = time < from ? 0 : Number((time - from) / length);
    for (let open = (held.get(name)?.index ?? 0) + 1; held.has(name) && open <= index; open += 1) tiles[open].add(...held.get(name).sample);
    tiles[index].add(time, text, status);
    held.set(name, { index, sample: [time, text, status] });
  }
  for (const [name, { index, sample }] of held) {
    for (const tile of made.get(name).slice(index + 1)) tile.add(...sample);
  }
  for (const missing of outcome?.missing ?? []) {
    const [start, end] = [parseTime(missing.start), parseTime(missing.end)];
    for (const [name, tiles] of made) {
      if (missing.elements?.length && !missing.elements.includes(name)) continue;
      for (const tile of tiles) {
        if ((start ?? tile.from) < tile.to && (end ?? tile.to) > tile.from) tile.missing.push({ ...missing, from: start ?? tile.from, to: end ?? tile.to });
      }
    }
  }
}
