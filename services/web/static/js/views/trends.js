// Trends: elements over time, live or back then; all of what is shown is in the address.

import { ask, askJson, askRows, isAborted, live, wordsOf } from "../api.js";
import { download, make, whenQuiet } from "../dom.js";
import { pan, zoom } from "../gestures.js";
import { picker } from "../picker.js";
import { Plot } from "../plot.js";
import { pictureOf } from "../picture.js";
import { endsOf, parametersOf, rangeControl, rangeOf } from "../range.js";
import { Series } from "../series.js";
import { isoOf, parseTime } from "../time.js";
import { Values } from "../values.js";

export const title = "Trends";
export const keys = [
  ["← →", "pan"],
  ["+ −", "zoom"],
  ["f", "follow what comes"],
  ["drag", "pan"],
  ["wheel, pinch", "zoom"],
  ["Shift + drag", "zoom to what is marked"],
  ["double click", "zoom out"],
];

const COLORS = 8; // tokens --series-1 … of css/trends.css
const MOST_ELEMENTS = 20;
const TICK_MS = 1000;
const NUMERIC = new Set(["float", "int", "uint", "bool"]);

let view = null;

/** What is shown while it is, for those who draw over it: `mounted()?.plot.addOverlay(paint)`. */
export const mounted = () => view;

export function mount(root, parameters, navigate) {
  const made = (view = new Trends(root, parameters, navigate));
  return () => {
    made.close();
    view = null;
  };
}

class Trends {
  constructor(root, parameters, navigate) {
    this.navigate = navigate;
    this.range = rangeOf(parameters);
    this.names = [...new Set(parameters.getAll("e"))].slice(0, MOST_ELEMENTS);
    this.elements = [];
    this.watch = null;
    this.asking = new AbortController();
    this.statistics = whenQuiet(() => this.askStatistics(), 350);
    this.remember = whenQuiet(() => this.writeAddress(), 200);
    this.build(root);
    this.series = new Series(() => this.update());
    this.plot = new Plot(this.place, this.series, {
      moved: (from, to) => this.setRange({ from, to }),
      pointed: (time) => this.values.point(time),
    });
    this.values = new Values(this.table, this.series, { removed: (name) => this.remove(name) });
    this.onKey = (event) => this.key(event);
    this.onZone = () => this.update();
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("zone", this.onZone);
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.start();
  }

  close() {
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("zone", this.onZone);
    clearInterval(this.timer);
    this.statistics.cancel();
    this.remember.cancel();
    this.asking.abort();
    this.watch?.abort();
    this.series.close();
    this.plot.close();
    this.control.close();
  }

  build(root) {
    const button = (id, text, hint, work) => make("button", { type: "button", id, title: hint, onclick: work }, text);
    this.search = picker((names) => this.add(names), { label: "Add elements", id: "search" });
    this.control = rangeControl(this.range, (range) => this.setRange(range));
    this.follow = button("follow", "Follow", "Keep up with what comes (f)", () => this.toggleFollow());
    this.place = make("div", { id: "plot", className: "plot", tabIndex: 0, role: "application", aria: { label: "Plot: arrow keys pan, plus and minus zoom" } });
    this.note = make("p", { id: "plot-note", className: "note muted", role: "status" }, "Loading …");
    this.table = make("div", { id: "values", className: "values" });
    const files = [
      button("link", "Link", "Copy a link to exactly this", () => this.copyLink()),
      button("csv", "CSV", "All samples of this range, not thinned", () => this.saveCsv()),
      button("png", "PNG", "The plot as a picture", () => this.savePicture()),
    ];
    root.append(
      make(
        "section",
        { className: "card trends", aria: { label: "Trends" } },
        make("div", { className: "trend-bar" }, this.search.node, this.control.node, make("div", { className: "actions" }, this.follow, ...files)),
        this.place,
        this.note,
        this.table,
      ),
    );
  }

  // -- which elements ---------------------------------------------------------------------------------

  async start() {
    try {
      if (!this.names.length) this.names = await this.firstNames();
      await this.describe();
    } catch (error) {
      if (!isAborted(error)) this.tell(wordsOf(error), true);
    }
  }

  async firstNames() {
    const { elements } = await askJson("/v1/elements?limit=200", { signal: this.asking.signal });
    const first = elements.find(({ kind }) => ["float", "int", "uint"].includes(kind)) ?? elements[0];
    return first ? [first.element] : [];
  }

  add(names) {
    const fresh = names.filter((name) => !this.names.includes(name));
    this.names = [...this.names, ...fresh].slice(0, MOST_ELEMENTS);
    this.describe();
  }

  remove(name) {
    this.names = this.names.filter((other) => other !== name);
    this.describe();
  }

  /** Ask what the elements are, and show them; one that is not known stays in the list, with what is said of it. */
  async describe() {
    const colors = new Map(this.elements.map(({ name, slot }) => [name, slot]));
    const known = new Map(this.elements.map((element) => [element.name, element]));
    this.elements = await Promise.all(this.names.map(async (name) => known.get(name) ?? this.described(name)));
    if (this.asking.signal.aborted) return;
    for (const element of this.elements) {
      const taken = new Set(this.elements.map(({ slot }) => slot));
      element.slot ??= colors.get(element.name) ?? [...Array(COLORS).keys()].find((slot) => !taken.has(slot)) ?? this.names.indexOf(element.name) % COLORS;
      Object.defineProperty(element, "color", { configurable: true, get: () => this.plot.color(`--series-${element.slot + 1}`) });
    }
    this.drawn = this.elements.filter(({ error, kind }) => !error && !kind.endsWith("s") && kind !== "binary");
    this.plot.show(this.drawn);
    this.values.show(this.elements);
    this.followNow();
    this.refresh();
  }

  async described(name) {
    try {
      const path = `/v1/elements/metadata?element=${encodeURIComponent(name)}`;
      return { ...(await askJson(path, { signal: this.asking.signal })), name, slot: undefined };
    } catch (error) {
      return { name, kind: "none", unit: "", description: "", error: wordsOf(error) };
    }
  }

  get readable() {
    return this.elements.filter(({ error }) => !error);
  }

  // -- which range ------------------------------------------------------------------------------------

  setRange(range) {
    const had = this.range.last;
    this.range = range;
    this.control.set(range);
    if (Boolean(had) !== Boolean(range.last)) this.followNow();
    this.refresh();
  }

  toggleFollow() {
    const [from, to] = [this.plot.from, this.plot.to];
    this.setRange(this.range.last ? { from, to } : { last: Math.max(1, Math.round(Number(to - from) / 1e9)) });
  }

  /** Have samples for what is visible, draw it, and say it in the address. */
  refresh() {
    if (!this.elements) return;
    const [from, to] = endsOf(this.range);
    this.plot.look(from, to);
    this.series.want(this.readable.map(({ name }) => name), from, to, Math.max(200, this.plot.width * 2));
    this.values.look(to);
    this.statistics();
    this.remember();
    this.update();
  }

  tick() {
    if (document.hidden) return;
    if (this.range.last) this.refreshLive();
    else if (!this.series.requests.size) this.series.want(this.readable.map(({ name }) => name), this.plot.from, this.plot.to, Math.max(200, this.plot.width * 2));
  }

  refreshLive() {
    const [from, to] = endsOf(this.range);
    this.plot.look(from, to);
    this.control.set(this.range);
    this.series.want(this.readable.map(({ name }) => name), from, to, Math.max(200, this.plot.width * 2));
    this.values.look(to);
    this.ticks = (this.ticks ?? 0) + 1;
    if (this.ticks % 5 === 0) this.askStatistics();
    this.update();
  }

  writeAddress() {
    this.navigate("trends", this.address(), { replace: true });
  }

  address(range = this.range) {
    return [...this.names.map((name) => ["e", name]), ...Object.entries(parametersOf(range))];
  }

  // -- what comes -------------------------------------------------------------------------------------

  /** Watch the elements while the plot follows. */
  followNow() {
    this.watch?.abort();
    this.follow.setAttribute("aria-pressed", String(Boolean(this.range.last)));
    const names = this.readable.map(({ name }) => name);
    if (!this.range.last || !names.length) return;
    this.watch = new AbortController();
    live(names, (event, data) => this.told(event, data), this.watch.signal);
  }

  told(event, data) {
    if (event === "gap" || event === "latest") this.series.expire();
    for (const { element, source_time: time, value, status } of data.samples ?? []) {
      const text = value === null ? null : typeof value === "object" ? JSON.stringify(value) : String(value);
      this.series.append(element, parseTime(time), text, status);
    }
    if (data.samples) this.plot.draw();
  }

  // -- what is said -----------------------------------------------------------------------------------

  update() {
    this.plot.draw();
    this.values.refresh();
    if (!this.elements.length) return this.tell(this.names.length ? "Loading …" : "No element is chosen. Type a part of a name above; as soon as samples come in they are listed there.");
    if (!this.readable.length) return this.tell("The archive knows none of these elements.");
    const pieces = this.readable.flatMap(({ name }) => this.series.pieces(name, this.plot.from, this.plot.to));
    const errors = new Set(pieces.map(({ tile }) => tile?.error).filter(Boolean));
    const lost = new Set(pieces.flatMap(({ tile }) => tile?.missing ?? []).map(({ backend, reason }) => `${backend ? `${backend}: ` : ""}${reason}`));
    if (errors.size) return this.tell([...errors].join(" "), true);
    if (lost.size) return this.tell(`A part could not be read (hatched in red). ${[...lost].join("; ")}`, true);
    if (pieces.some(({ tile }) => !tile)) return this.tell("Loading …");
    if (!pieces.some(({ tile }) => tile.at.length)) return this.tell("Nothing is archived in this range.");
    return this.tell("");
  }

  tell(text, isTrouble = false) {
    if (this.note.textContent !== text) this.note.textContent = text;
    this.note.classList.toggle("error", isTrouble);
  }

  async askStatistics() {
    this.counting?.abort();
    this.counting = new AbortController();
    const names = this.readable.filter(({ kind }) => !kind.endsWith("s") || kind === "bools").map(({ name }) => name);
    if (!names.length) return;
    const [start, end] = [isoOf(this.plot.from), isoOf(this.plot.to)];
    const parameters = [...names.map((name) => ["element", name]), ["start", start], ["end", end], ["aggregate", "count,min,max,mean"]];
    try {
      const { header, rows } = await askRows(parameters, { signal: this.counting.signal });
      this.values.statistics(rows.map((row) => Object.fromEntries(row.map((text, index) => [header[index], text]))), NUMERIC);
    } catch (error) {
      if (!isAborted(error)) this.values.statistics([], NUMERIC);
    }
  }

  // -- keyboard and files -----------------------------------------------------------------------------

  key(event) {
    if (event.target.closest?.("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    const middle = (this.plot.from + this.plot.to) / 2n;
    const work = {
      ArrowLeft: () => pan(this.plot, -0.2),
      ArrowRight: () => pan(this.plot, 0.2),
      "+": () => zoom(this.plot, middle, 0.5),
      "=": () => zoom(this.plot, middle, 0.5),
      "-": () => zoom(this.plot, middle, 2),
      f: () => this.toggleFollow(),
    }[event.key];
    if (!work) return;
    event.preventDefault();
    work();
  }

  async copyLink() {
    const range = { from: this.plot.from, to: this.plot.to };
    const link = `${location.origin}${location.pathname}#/trends?${new URLSearchParams(this.address(range))}`;
    try {
      await navigator.clipboard.writeText(link);
      this.tell("The link is on the clipboard.");
    } catch {
      this.tell(link); // no clipboard without https: there it is to be copied by hand
    }
  }

  async saveCsv() {
    const csv = document.getElementById("csv");
    csv.disabled = true;
    const query = new URLSearchParams([...this.readable.map(({ name }) => ["element", name]), ["start", isoOf(this.plot.from)], ["end", isoOf(this.plot.to)]]);
    try {
      const answer = await ask(`/v1/samples?${query}`, { accept: "text/csv", signal: this.asking.signal });
      download(await answer.blob(), "samples.csv");
    } catch (error) {
      if (!isAborted(error)) this.tell(wordsOf(error), true);
    } finally {
      csv.disabled = false;
    }
  }

  async savePicture() {
    download(await pictureOf(this.plot, this.elements), "trend.png");
  }
}
