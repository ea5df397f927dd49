// Instants are BigInt ns since 1970 UTC, so that no sample's time is rounded; shown in UTC or the local zone.

const ZONE = "forebay-zone";
export const SECOND = 1_000_000_000n;

/** The zone that times are shown in: "utc", unless somebody chose "local". */
export const zone = () => localStorage.getItem(ZONE) ?? "utc";

/** Choose the zone, for this browser; the document hears "zone". */
export function setZone(name) {
  if (name === "utc") localStorage.removeItem(ZONE);
  else localStorage.setItem(ZONE, name);
  document.dispatchEvent(new Event("zone"));
}

/** The zone's name, for reading. */
export const zoneName = () => (zone() === "utc" ? "UTC" : (Intl.DateTimeFormat().resolvedOptions().timeZone ?? "local"));

export const now = () => BigInt(Date.now()) * 1_000_000n;
export const fromSeconds = (seconds) => BigInt(Math.round(seconds * 1e9));
export const toSeconds = (ns) => Number(ns) / 1e9;

/** Read an ISO time in UTC (`…Z`), up to ns; null when it is none. */
export function parseTime(text) {
  const [, whole, fraction = ""] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text ?? "") ?? [];
  const ms = Date.parse(`${whole}Z`);
  return Number.isNaN(ms) ? null : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** Between these the archive takes times, to the year. */
export const [EARLIEST, LATEST] = [parseTime("1700-01-01T00:00:00Z"), parseTime("2240-01-01T00:00:00Z")];

/** Write an ISO time in UTC, with as many digits as it needs. */
export function isoOf(ns) {
  const fraction = String(((ns % SECOND) + SECOND) % SECOND).padStart(9, "0").replace(/0+$/, "");
  return `${new Date(msOf(ns)).toISOString().slice(0, 19)}${fraction && `.${fraction}`}Z`;
}

/** Whole ms since 1970 up to an instant. */
const msOf = (ns) => Number((ns - (((ns % 1_000_000n) + 1_000_000n) % 1_000_000n)) / 1_000_000n);

/** How far the zone is ahead of UTC at an instant, ns. */
export function offsetAt(ns) {
  return zone() === "utc" ? 0n : BigInt(-new Date(msOf(ns)).getTimezoneOffset()) * 60n * SECOND;
}

/** Date and time of day in the zone, `digits` of them after the seconds. */
export function shownTime(ns, digits = 3) {
  const text = isoOf(ns + offsetAt(ns)).slice(0, -1);
  const [day, clock] = text.split("T");
  const [whole, fraction = ""] = clock.split(".");
  return `${day} ${whole}${digits ? `.${fraction.padEnd(9, "0").slice(0, digits)}` : ""}`;
}

/** As a `datetime-local` field has it, in the zone, to the ms. */
export const fieldOf = (ns) => shownTime(ns, 3).replace(" ", "T");

/** What such a field says, in the zone; null when it says nothing. */
export function ofField(text) {
  if (!text) return null;
  const [day, clock] = text.split("T");
  const time = parseTime(`${day}T${clock.length === 5 ? `${clock}:00` : clock}Z`);
  if (time === null) return null;
  const guess = time - offsetAt(time);
  return time - offsetAt(guess); // the offset of the instant itself: they differ around a change of the clock
}
