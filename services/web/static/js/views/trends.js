// Trends: elements over time, live or back then; all of what is shown is in the address.

import { AlarmOverlay } from "../alarms/overlay.js";
import { askJson, askRows, isAborted, live, Problem, wordsOf } from "../api.js";
import { make, whenQuiet } from "../dom.js";
import { pan, zoom } from "../gestures.js";
import { keepers } from "../keeping.js";
import { picker } from "../picker.js";
import { Plot } from "../plot.js";
import { endsOf, parametersOf, rangeControl, rangeOf, within } from "../range.js";
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
const STATISTICS_TICKS = 5;
const RETRY_TICKS = 3;
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
    this.counting = null;
    this.ticks = 0;
    this.trouble = ""; // why it is not known which elements there are
    this.lost = ""; // why nothing comes in live
    this.statistics = whenQuiet(() => this.askStatistics(), 350);
    this.remember = whenQuiet(() => this.writeAddress(), 200);
    this.build(root);
    this.series = new Series(() => this.update());
    this.plot = new Plot(this.place, this.series, {
      moved: (from, to) => this.setRange(within(from, to)),
      pointed: (time) => {
        this.values.point(time);
        this.alarms.point(time);
      },
    });
    this.alarms = new AlarmOverlay(this.plot, () => this.readable.map(({ name }) => name));
    this.follow.after(this.alarms.button);
    this.said.after(this.alarms.list);
    this.values = new Values(this.table, this.series, { removed: (name) => this.remove(name) });
    this.onKey = (event) => this.key(event);
    this.onZone = () => this.update();
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("zone", this.onZone);
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.plot.look(...endsOf(this.range));
    this.start();
  }

  close() {
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("zone", this.onZone);
    clearInterval(this.timer);
    this.statistics.cancel();
    this.remember.cancel();
    this.asking.abort();
    this.counting?.abort();
    this.watch?.abort();
    this.series.close();
    this.alarms.close();
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
    this.said = make("p", { id: "said", className: "note", role: "status" });
    this.table = make("div", { id: "values", className: "values" });
    root.append(
      make(
        "section",
        { className: "card trends", aria: { label: "Trends" } },
        make("div", { className: "trend-bar" }, this.search.node, this.control.node, make("div", { className: "actions" }, this.follow, ...keepers(this))),
        this.place,
        this.note,
        this.said,
        this.table,
      ),
    );
  }

  // -- which elements ---------------------------------------------------------------------------------

  async start() {
    try {
      const first = this.names.length || this.isEmptied ? [] : await this.firstNames();
      if (!this.names.length) this.names = first; // somebody may have chosen meanwhile
      this.trouble = "";
      await this.describe();
    } catch (error) {
      if (isAborted(error)) return;
      this.trouble = wordsOf(error);
      this.update();
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
    this.isEmptied = !this.names.length; // and wants it so
    this.describe();
  }

  /** Ask what the elements are, and show them; one that is not known stays in the list, with what is said of it. */
  async describe() {
    const names = this.names;
    const colors = new Map(this.elements.map(({ name, slot }) => [name, slot]));
    const known = new Map(this.elements.filter(({ again }) => !again).map((element) => [element.name, element]));
    const elements = await Promise.all(names.map(async (name) => known.get(name) ?? this.described(name)));
    if (this.asking.signal.aborted || names !== this.names) return; // others were chosen meanwhile
    if (this.plot.chart && elements.length === this.elements.length && elements.every((one, index) => isSame(one, this.elements[index]))) return;
    this.elements = elements;
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

  /** What an element is; `again` when the archive may say more later, as it does when it is there again. */
  async described(name) {
    try {
      const path = `/v1/elements/metadata?element=${encodeURIComponent(name)}`;
      return { ...(await askJson(path, { signal: this.asking.signal })), name, slot: undefined };
    } catch (error) {
      const again = !(error instanceof Problem) || error.status >= 429;
      return { name, kind: "none", unit: "", description: "", error: wordsOf(error), again };
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
    const [from, to] = endsOf(this.range);
    this.plot.look(from, to);
    this.want();
    this.values.look(to);
    this.alarms.look();
    this.statistics();
    this.remember();
    this.update();
  }

  want() {
    this.series.want(this.readable.map(({ name }) => name), this.plot.from, this.plot.to, Math.max(200, this.plot.width * 2));
  }

  tick() {
    if (document.hidden) return;
    this.ticks += 1;
    if (this.ticks % RETRY_TICKS === 0) this.startAgain();
    if (this.range.last) this.refreshLive();
    else if (!this.series.requests.size) this.want();
  }

  /** Ask once more for what the archive did not say; also which elements there are, while there is none. */
  startAgain() {
    if (!this.isStarting && ((!this.names.length && !this.isEmptied) || this.elements.some(({ again }) => again))) {
      this.isStarting = true;
      this.start().finally(() => (this.isStarting = false));
    }
  }

  refreshLive() {
    const [from, to] = endsOf(this.range);
    this.plot.look(from, to);
    this.control.set(this.range);
    this.want();
    this.values.look(to);
    if (this.ticks % STATISTICS_TICKS === 0 && !this.counting) this.askStatistics();
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
    this.lost = event === "lost" ? wordsOf(data) : "";
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
    if (this.trouble) return this.tell(this.trouble, true);
    if (!this.elements.length) return this.tell(this.names.length ? "Loading …" : "No element is chosen. Type a part of a name above; as soon as samples come in they are listed there.");
    if (!this.readable.length && !this.elements.some(({ again }) => again)) return this.tell("The archive knows none of these elements.");
    const pieces = this.readable.flatMap(({ name }) => this.series.pieces(name, this.plot.from, this.plot.to));
    const errors = new Set(pieces.map(({ tile }) => tile?.error).filter(Boolean));
    const lost = new Set(pieces.flatMap(({ tile }) => tile?.missing ?? []).map(({ backend, reason }) => `${backend ? `${backend}: ` : ""}${reason}`));
    if (errors.size) return this.tell([...errors].join(" "), true);
    if (lost.size) return this.tell(`A part could not be read (hatched in red). ${[...lost].join("; ")}`, true);
    if (this.range.last && this.lost) return this.tell(`What comes does not come in just now. ${this.lost}`, true);
    if (pieces.some(({ tile }) => !tile)) return this.tell("Loading …");
    if (!pieces.some(({ tile }) => tile.at.length)) return this.tell("Nothing is archived in this range.");
    return this.tell("");
  }

  tell(text, isTrouble = false) {
    if (this.note.textContent !== text) this.note.textContent = text;
    this.note.classList.toggle("error", isTrouble);
  }

  /** Say what became of something that was asked for: it stays until the next one. */
  say(text, isTrouble = false) {
    this.said.textContent = text;
    this.said.classList.toggle("error", isTrouble);
  }

  async askStatistics() {
    this.counting?.abort();
    this.counting = null;
    const names = this.readable.filter(({ kind }) => !kind.endsWith("s") || kind === "bools").map(({ name }) => name);
    if (!names.length) return;
    const mine = (this.counting = new AbortController());
    const [start, end] = [isoOf(this.plot.from), isoOf(this.plot.to)];
    const parameters = [...names.map((name) => ["element", name]), ["start", start], ["end", end], ["aggregate", "count,min,max,mean"]];
    let found = [];
    try {
      const { header, rows } = await askRows(parameters, { signal: mine.signal });
      found = rows.map((row) => Object.fromEntries(row.map((text, index) => [header[index], text])));
    } catch (error) {
      if (isAborted(error)) return;
    }
    this.counting = null;
    this.values.statistics(found, NUMERIC);
  }

  // -- keyboard -----------------------------------------------------------------------------

  key(event) {
    if (event.target.closest?.("input, textarea, select, dialog, .scroll") || event.ctrlKey || event.metaKey || event.altKey) return;
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
}

/** Whether two descriptions say the same: the same one, or two that the archive did not give. */
const isSame = (one, other) => one === other || (one.again && other.again && one.name === other.name);
