// Alarms over a plot: bands from when they came to when they went, of the elements that are shown.

import { askJson, isAborted, wordsOf } from "../api.js";
import { make, whenQuiet } from "../dom.js";
import { count } from "../format.js";
import { isoOf, parseTime, zoneName } from "../time.js";
import { at, bandOf, lasted, signOf } from "./words.js";

const CHOSEN = "forebay-alarm-overlay";
const MOST = 1000; // frames of a range
const EVERY_MS = 5000;
const LISTED = 6;
const HEIGHT = 6; // css px of a mark, at the top of the plot
const LEAST = 4; // css px: one that was short is seen

/**
 * What rules found, over a plot of the elements that `names()` gives. `button` switches it, `list` says what is drawn in words;
 * `look()` is called when range or elements changed, `point(time)` when the cursor moves; `close()` lets go.
 */
export class AlarmOverlay {
  constructor(plot, names) {
    Object.assign(this, { plot, names, spans: [], told: "", focused: null });
    this.button = make("button", { type: "button", id: "alarm-overlay", title: "Show when alarms of these elements came and went ", onclick: () => this.toggle() }, "Alarms");
    this.list = make("ul", { id: "alarm-spans", className: "spans", aria: { label: "Alarms in this range" } });
    this.look = whenQuiet(() => this.ask(), 300);
    this.isOn = localStorage.getItem(CHOSEN) !== "off";
    this.asking = new AbortController();
    this.remove = plot.addOverlay((frame) => this.paint(frame));
    this.timer = setInterval(() => !document.hidden && this.ask(), EVERY_MS);
    this.tell();
  }

  close() {
    clearInterval(this.timer);
    this.look.cancel();
    this.asking.abort();
    this.remove();
  }

  toggle() {
    this.isOn = !this.isOn;
    if (this.isOn) localStorage.removeItem(CHOSEN);
    else localStorage.setItem(CHOSEN, "off");
    this.show([]);
    this.ask();
  }

  /** Ask for the frames of what is visible; those that are shown stay until there are others. */
  async ask() {
    this.asking.abort();
    const names = this.names();
    if (!this.isOn || !names.length) return this.show([]);
    const { signal } = (this.asking = new AbortController());
    try {
      const [from, to] = [isoOf(this.plot.from), isoOf(this.plot.to)];
      const query = new URLSearchParams([["start", from], ["end", to], ["limit", String(MOST)], ...names.map((name) => ["key", name])]);
      const { frames } = await askJson(`/v1/frames?${query}`, { signal });
      return this.show(frames.length ? named(frames, await pairsOf(frames, to, signal)) : []);
    } catch (error) {
      return isAborted(error) ? undefined : this.tell(`Alarms are not known just now. ${wordsOf(error)}`);
    }
  }

  show(spans) {
    this.spans = spans;
    this.tell();
    this.plot.draw();
  }

  /** Say what is drawn: those that a person points at are marked. */
  tell(trouble = "") {
    this.button.setAttribute("aria-pressed", String(this.isOn));
    const key = JSON.stringify([trouble, zoneName(), this.spans]);
    if (key === this.told) return;
    this.told = key;
    this.focused = null;
    const more = this.spans.length - LISTED;
    this.list.replaceChildren(...(trouble ? [make("li", { className: "error" }, trouble)] : []), ...this.spans.slice(-LISTED).reverse().map((span) => this.item(span)),
      ...(more > 0 ? [make("li", { className: "muted" }, `and ${count(more)} before`)] : []));
  }

  item(span) {
    const focus = (on) => () => {
      this.focused = on ? span.id : null;
      this.plot.draw();
    };
    const notes = span.annotations.map(({ user, text }) => `${user}: ${text}`).join("; ");
    const words = `${at(span.opened)}, ${span.closed ? `for ${lasted(span.opened, span.closed)}` : "still there"}`;
    return make("li", { tabIndex: 0, data: { span: span.id }, onfocus: focus(true), onblur: focus(false), onpointerenter: focus(true), onpointerleave: focus(false) },
      signOf(span.priority, !span.closed), make("span", {}, span.text), make("span", { className: "muted" }, [words, notes].filter(Boolean).join("; ")));
  }

  /** Mark in the list what holds at an instant; null: nowhere. */
  point(time) {
    for (const node of this.list.querySelectorAll("[data-span]")) {
      const span = this.spans.find(({ id }) => id === node.dataset.span);
      node.classList.toggle("pointed", time !== null && parseTime(span.opened) <= time && (!span.closed || time < parseTime(span.closed)));
    }
  }

  paint(frame) {
    const { context, ratio, top, height } = frame;
    for (const span of this.isOn ? this.spans : []) {
      const left = frame.x(parseTime(span.opened));
      const end = span.closed ? parseTime(span.closed) : frame.now;
      const width = Math.max(frame.x(end < frame.to ? end : frame.to) - left, LEAST * ratio);
      context.fillStyle = frame.color(`--band-${bandOf(span.priority)}`);
      context.globalAlpha = this.focused === span.id ? 0.3 : 0.1;
      context.fillRect(left, top, width, height);
      context.globalAlpha = 1;
      context.fillRect(left, top, width, HEIGHT * ratio);
    }
  }
}

/** What was said when alarms came that opened frames: by rule, key and time. */
async function pairsOf(frames, end, signal) {
  const start = frames[0].opened;
  const { pairs } = await askJson(`/v1/alarms/history?${new URLSearchParams({ start, end, limit: String(MOST) })}`, { signal });
  return new Map(pairs.map(([came]) => [placeOf(came.rule, came.key, came.came_time), came]));
}

const placeOf = (...parts) => JSON.stringify(parts);

/** Frames with text and priority of their alarms; one that is no alarm's is named by its rule. */
function named(frames, pairs) {
  return frames.map((frame) => {
    const came = pairs.get(placeOf(frame.rule, frame.key, frame.opened));
    return { ...frame, text: came?.text || `${frame.rule}: ${frame.key}`, priority: came?.prior ?? 0 };
  });
}
