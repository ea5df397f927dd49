// How alarms are told: states and changes in words, priorities by shape, number and colour.

import { svgNode } from "../dom.js";
import { duration, number } from "../format.js";
import { parseTime, shownTime } from "../time.js";

/** States, those that want something first, in words. */
export const STATES = {
  active_unacknowledged: "active, unacknowledged",
  returned_unacknowledged: "gone, unacknowledged",
  active_acknowledged: "active, acknowledged",
  latched: "latched, to be reset",
  shelved: "shelved",
  suppressed: "suppressed by design",
  out_of_service: "out of service",
  normal: "normal",
};

/** Whether an acknowledgement is owed, whatever hides the alarm. */
export const isOwed = ({ condition }) => condition.endsWith("_unacknowledged");

/** Whether the operator is asked for an acknowledgement: one is owed, and nothing hides the alarm. */
export const isWanted = ({ state }) => state.endsWith("_unacknowledged");

/** How many alarms want an acknowledgement now, from the counts by state. */
export const owedOf = (counts) => counts.active_unacknowledged + counts.returned_unacknowledged;

const CHANGES = {
  came: "came", gone: "gone", happened: "happened", acknowledged: "acknowledged", reset: "reset", shelved: "shelved", unshelved: "unshelved",
  expired: "shelving ended", suppressed: "suppressed by design", unsuppressed: "no longer suppressed", out_of_service: "taken out of service",
  in_service: "returned to service", commented: "commented",
};
const EFFECTS = { late: ", too late to change anything", repeated: ", as it was already" };

/** What a transition did. */
export const changeOf = ({ change, effect }) => `${CHANGES[change] ?? change}${EFFECTS[effect] ?? ""}`;

/** A time as it is shown; nothing for none. */
export const at = (iso, digits = 0) => (iso ? shownTime(parseTime(iso), digits) : "");

/** The value with which an alarm came. */
export const valueOf = ({ value }) => (value === null || value === undefined ? "" : typeof value === "number" ? number(value) : String(value));

/** How long a pair lasted. */
export function lasted(came, gone) {
  if (!gone) return "still";
  const seconds = Number(parseTime(gone) - parseTime(came)) / 1e9;
  return seconds === 0 ? "an instant" : duration(seconds);
}

// From the most urgent down: the least priority, and a shape of its own, so that nobody needs the colour.
const BANDS = [
  [80, "M6 1h8l5 5v8l-5 5H6l-5-5V6z"],
  [60, "M10 1l9 17H1z"],
  [40, "M10 1l9 9-9 9-9-9z"],
  [20, "M2 3h16v14H2z"],
  [0, "M10 2a8 8 0 1 1 0 16a8 8 0 1 1 0-16z"],
];

/** Which of five bands a priority is in: 1 is the most urgent. */
export const bandOf = (priority) => 1 + BANDS.findIndex(([least]) => priority >= least);

/** The sign of a priority: full while an acknowledgement is owed, else its outline; with the number of its band. */
export function signOf(priority, isFull) {
  const band = bandOf(priority);
  const text = svgNode("text", { x: 10, y: band === 2 ? 16 : 14.5, "text-anchor": "middle" }, String(band));
  return svgNode("svg", { class: `sign band-${band}${isFull ? " full" : ""}`, viewBox: "0 0 20 20", width: 22, height: 22, "aria-hidden": "true" },
    svgNode("path", { d: BANDS[band - 1][1] }), text);
}
