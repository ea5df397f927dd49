// A control for the range of time: the last while, or from … to; and in which zone times are shown.

import { make } from "./dom.js";
import { EARLIEST, fieldOf, isoOf, LATEST, now, ofField, parseTime, setZone, zone, zoneName } from "./time.js";

/** Lengths to choose from, seconds. */
const LAST = [
  [60, "1 minute"],
  [300, "5 minutes"],
  [900, "15 minutes"],
  [3600, "1 hour"],
  [4 * 3600, "4 hours"],
  [8 * 3600, "8 hours"],
  [86_400, "1 day"],
  [7 * 86_400, "1 week"],
  [30 * 86_400, "30 days"],
  [365 * 86_400, "1 year"],
];

const MOST_S = 200 * 365 * 86_400;

/** A range from the parameters of an address: `{last}` in seconds, or `{from, to}`, instants. */
export function rangeOf(parameters, last = 300) {
  const [from, to] = [parseTime(parameters.get("from")), parseTime(parameters.get("to"))];
  if (from !== null && to !== null && from < to) return { from, to };
  const seconds = Number(parameters.get("last"));
  return { last: seconds > 0 ? Math.min(seconds, MOST_S) : last };
}

/** A range of the same length within what times can tell. */
export function within(from, to) {
  const length = to - from < LATEST - EARLIEST ? to - from : LATEST - EARLIEST;
  const start = from < EARLIEST ? EARLIEST : from + length > LATEST ? LATEST - length : from;
  return { from: start, to: start + length };
}

/** The same as parameters of an address. */
export function parametersOf(range) {
  return range.last ? { last: String(range.last) } : { from: isoOf(range.from), to: isoOf(range.to) };
}

/** Its two ends just now. */
export function endsOf(range) {
  if (!range.last) return [range.from, range.to];
  const end = now();
  return [end - BigInt(Math.round(range.last * 1e9)), end];
}

/**
 * Make the control. `changed(range)` is called when somebody chooses another one. `node` goes into the page,
 * `set(range)` shows another one, `close()` lets go of it.
 */
export function rangeControl(first, changed) {
  let range = first;
  const last = make("select", { id: "window", title: "How far back, up to now" });
  const from = field("From");
  const to = field("To");
  const zones = make("button", { type: "button", id: "zone", title: "Show times in UTC or in the local zone" });
  const note = make("span", { className: "error", role: "alert" });
  const choose = (next) => {
    set(next);
    changed(next);
  };
  const set = (next) => {
    range = next;
    const whole = LAST.map(([seconds, text]) => make("option", { value: seconds }, `last ${text}`));
    const other = make("option", { value: "" }, range.last ? `last ${range.last} s` : "from … to");
    const listed = range.last && LAST.some(([seconds]) => seconds === range.last);
    if (last.dataset.shown !== String(listed ? "" : other.textContent)) last.replaceChildren(...(listed ? whole : [other, ...whole]));
    last.dataset.shown = listed ? "" : other.textContent;
    last.value = listed ? range.last : "";
    note.textContent = "";
    const [start, end] = endsOf(range);
    for (const [node, time] of [[from, start], [to, end]]) {
      if (document.activeElement !== node.input) node.input.value = fieldOf(time);
    }
    zones.textContent = zoneName();
  };
  const absolute = () => {
    const [start, end] = [ofField(from.input.value), ofField(to.input.value)];
    if (start === null || end === null) return;
    if (start >= end) note.textContent = "The end is not after the start.";
    else choose({ from: start, to: end });
  };
  const zoned = () => set(range);
  last.addEventListener("change", () => last.value && choose({ last: Number(last.value) }));
  from.input.addEventListener("change", absolute);
  to.input.addEventListener("change", absolute);
  zones.addEventListener("click", () => setZone(zone() === "utc" ? "local" : "utc"));
  document.addEventListener("zone", zoned);
  set(first);
  const node = make("div", { className: "range", role: "group", aria: { label: "Range of time" } }, last, from, to, zones, note);
  return { node, set, close: () => document.removeEventListener("zone", zoned) };
}

function field(name) {
  const input = make("input", { type: "datetime-local", step: "0.001", attributes: { "aria-label": name } });
  return Object.assign(make("label", { className: "moment" }, make("span", { className: "muted" }, name), input), { input });
}
