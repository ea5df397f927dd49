// Numbers, durations, values and qualities in words.

const whole = new Intl.NumberFormat("en");

/** A count: 12,345. */
export const count = (number) => whole.format(number);

/** How long something is, or ago: 12 s, 3 min, 5 h, 2 d. */
export function duration(seconds) {
  if (seconds <= 0) return "–";
  if (seconds < 1) return "< 1 s";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** Bytes: 12 kB, 3.4 GB. */
export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = number < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(number) / 3));
  return `${Number((number / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

/** A number as its element wants it shown: with its precision, else with nine digits. */
export function number(value, precision = null) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value);
  return precision === null ? String(Number(value.toPrecision(9))) : value.toFixed(precision);
}

/** The value of a sample, from its text: states by name, arrays and long texts in short. */
export function valueText(text, { precision = null, states = null } = {}) {
  if (text === null) return "–";
  if (states && text in states) return states[text];
  if (text.startsWith("[")) return arrayInShort(text);
  if (text.length > 80) return `${text.slice(0, 77)}…`;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) return text;
  return Number.isInteger(value) ? text.replace(/\.0$/, "") : number(value, precision);
}

/** The first items of an array, and how many there are. */
function arrayInShort(text) {
  const items = text.slice(1, -1).split(",");
  const first = items.slice(0, 4).map((item) => (Number.isFinite(Number(item)) ? String(Number(Number(item).toPrecision(4))) : item));
  return items.length > 4 ? `${first.join(", ")} … (${items.length})` : first.join(", ");
}

// -- quality, from status bits, as archiver.model.status has them -------------------------------------

const bit = (number) => 1n << BigInt(number);
const INVALID = bit(5) | bit(6) | bit(17);
const BAD = INVALID | bit(3);
const DEFAULT = bit(1) | bit(2);
const DEFAULT_BAD = bit(8);
const DISCONNECTED = bit(56);
const PAUSED = bit(57);

/** Quality of a sample: whether it is `good`, `bad` or `none` (nothing is known from here on), and its word. */
export function qualityOf(status, hasValue) {
  const bits = BigInt(status);
  if (bits & DISCONNECTED) return ["none", "disconnected"];
  if (bits & PAUSED) return ["none", "paused"];
  if (!hasValue) return ["none", "no value"];
  const bad = bits & DEFAULT ? bits & DEFAULT_BAD : bits & BAD;
  if (bad) return ["bad", bits & INVALID ? "invalid" : "bad"];
  return ["good", bits & DEFAULT ? "default" : "good"];
}
