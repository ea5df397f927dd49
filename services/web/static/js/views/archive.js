// Archive health: backends and the ledger.

import { askJson, wordsOf } from "../api.js";
import { cell, emptyRow, make, repeat } from "../dom.js";
import { count, duration } from "../format.js";

export const title = "Archive";

const EVERY_MS = 3000;
const OUTCOMES = ["stored", "smoothed", "duplicate", "buffered", "rejected", "dead-lettered", "dropped"];
const BACKENDS = ["Backend", "State", "Position", "Lag, samples", "Oldest waiting", "Holds", "Covers"];
const NUMBERS = new Set(["Position", "Lag, samples", "Oldest waiting", "Holds"]);

/** Show it, and keep it true until the returned function is called. */
export function mount(root) {
  const backends = table("Backends", "backends");
  const ledger = table("Ledger", "ledger", "What became of every sample that was received, by backend.");
  const reasons = make("ul", { className: "reasons", id: "reasons" });
  const note = make("p", { className: "note error", role: "alert" });
  backends.head.replaceChildren(...BACKENDS.map((text) => heading(text, NUMBERS.has(text))));
  ledger.section.append(reasons);
  root.append(backends.section, ledger.section, note);
  const refresh = async () => {
    if (document.hidden) return;
    try {
      const [states, totals] = await Promise.all([askJson("/v1/backends"), askJson("/v1/ledger")]);
      showBackends(backends, states.backends);
      showLedger(ledger, reasons, totals.totals);
      note.textContent = "";
    } catch (error) {
      note.textContent = wordsOf(error);
    }
  };
  return repeat(refresh, EVERY_MS);
}

function table(name, id, text = "") {
  const head = make("tr");
  const body = make("tbody", { id }, emptyRow("Loading …", 1));
  const scroll = make(
    "div",
    { className: "scroll", tabIndex: 0, role: "region", aria: { labelledby: `${id}-title` } },
    make("table", { className: "stack" }, make("thead", {}, head), body),
  );
  const words = text && make("p", { className: "muted" }, text);
  const section = make(
    "section",
    { className: "card", aria: { labelledby: `${id}-title` } },
    make("h2", { id: `${id}-title` }, name),
    words,
    scroll,
  );
  return { section, head, body };
}

function heading(text, isNumber = false) {
  return make("th", { scope: "col", className: isNumber ? "number" : "" }, text);
}

function span(first, last) {
  if (!first) return "nothing yet";
  const [from, to] = [first, last].map((time) => `${time.slice(0, 10)} ${time.slice(11, 16)}`);
  return from.slice(0, 10) === to.slice(0, 10) ? `${from} to ${to.slice(11)} UTC` : `${from} to ${to} UTC`;
}

function showBackends({ body }, backends) {
  const rows = backends.map((backend) => {
    const state = cell("State", backend.state, `state-${backend.state}`);
    if (backend.last_error) state.append(make("div", { className: "error" }, backend.last_error));
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, backend.name, make("span", { className: "muted" }, ` ${backend.kind}`)),
      state,
      cell("Position", backend.position === null ? "–" : count(backend.position), "number"),
      cell("Lag, samples", count(backend.lag_samples), "number"),
      cell("Oldest waiting", duration(backend.oldest_unflushed_s), "number"),
      cell("Holds", count(backend.samples), "number"),
      cell("Covers", span(backend.first, backend.last)),
    );
  });
  body.replaceChildren(...(rows.length ? rows : [emptyRow("No backend is configured.", BACKENDS.length)]));
}

function showLedger({ head, body }, list, totals) {
  const lanes = new Map();
  const present = new Set(["stored", "buffered", "rejected"]);
  for (const { lane, outcome, count: number } of totals) {
    if (!lanes.has(lane)) lanes.set(lane, {});
    lanes.get(lane)[outcome] = (lanes.get(lane)[outcome] || 0) + number;
    present.add(outcome);
  }
  const columns = OUTCOMES.filter((outcome) => present.has(outcome));
  head.replaceChildren(heading("Where"), ...columns.map((outcome) => heading(outcome, true)));
  const rows = [...lanes].map(([lane, counts]) => {
    const cells = columns.map((outcome) => cell(outcome, count(counts[outcome] || 0), counts[outcome] ? "number" : "number zero"));
    return make("tr", {}, make("th", { scope: "row" }, lane), ...cells);
  });
  body.replaceChildren(...(rows.length ? rows : [emptyRow("No sample was received yet.", columns.length + 1)]));
  const reasons = totals.filter(({ reason, outcome }) => reason && outcome !== "stored");
  const lines = reasons.map(({ lane, group, outcome, reason, count: number }) =>
    make("li", {}, `${count(number)} ${outcome}, ${lane}${group ? `, group ${group}` : ""}: ${reason}`),
  );
  list.replaceChildren(...lines);
}
