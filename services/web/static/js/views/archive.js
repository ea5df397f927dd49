// Archive health: backends, how elements have been doing, and the ledger.

import { ask, askJson, wordsOf } from "../api.js";
import { cell, emptyRow, make, repeat } from "../dom.js";
import { count, duration, number } from "../format.js";

export const title = "Archive";

const EVERY_MS = 3000;
const OUTCOMES = ["stored", "smoothed", "duplicate", "buffered", "rejected", "dead-lettered", "dropped"];
const BACKENDS = ["Backend", "State", "Position", "Lag, samples", "Oldest waiting", "Holds", "Covers", ""];
const ORDERS = [["silent", "silent for longest"], ["disconnected", "disconnected or paused"], ["rate", "fastest"], ["lost", "lost samples"], ["name", "by name"]];
const ELEMENTS = ["Element", "State", "Silent", "Rate, 1/s", "Received", "Lost", "Why"];
const NUMBERS = new Set(["Position", "Lag, samples", "Oldest waiting", "Holds", "Silent", "Rate, 1/s", "Received", "Lost"]);

/** Show it, and keep it true until the returned function is called. */
export function mount(root) {
  const backends = table("Backends", "backends");
  const ledger = table("Ledger", "ledger", "What became of every sample that was received, by backend.");
  const reasons = make("ul", { className: "reasons", id: "reasons" });
  const elements = table("Elements, in the last hour", "activity");
  const order = make("select", { id: "order", aria: { label: "Which come first" } }, ...ORDERS.map(([value, text]) => make("option", { value }, text)));
  const note = make("p", { className: "note error", role: "alert" });
  backends.head.replaceChildren(...BACKENDS.map((text) => heading(text, NUMBERS.has(text))));
  elements.head.replaceChildren(...ELEMENTS.map((text) => heading(text, NUMBERS.has(text))));
  elements.section.children[0].after(order);
  ledger.section.append(reasons);
  root.append(backends.section, elements.section, ledger.section, note);
  const refresh = async () => {
    if (document.hidden) return;
    try {
      const [states, totals, activity] = await Promise.all([
        askJson("/v1/backends"),
        askJson("/v1/ledger"),
        askJson(`/v1/elements/activity?by=${order.value}&limit=10`),
      ]);
      showBackends(backends, states.backends, change);
      showActivity(elements, activity, order.value);
      showLedger(ledger, reasons, totals.totals);
      note.textContent = "";
    } catch (error) {
      note.textContent = wordsOf(error);
    }
  };
  const change = async (name, what, question) => {
    if (question && !confirm(question)) return;
    try {
      await ask(`/v1/backends/${encodeURIComponent(name)}/${what}`, { method: "POST" });
    } catch (error) {
      note.textContent = wordsOf(error);
    }
    refresh();
  };
  order.addEventListener("change", refresh);
  return repeat(refresh, EVERY_MS);
}

/** What an operator may do to a backend: stop and start it, and give up what it lacks while it is stopped. */
function actions({ name, state, lag_samples: lag }, change) {
  const button = (text, what, question = "") => {
    const node = make("button", { type: "button", title: `${text} ${name}` }, text);
    node.addEventListener("click", () => change(name, what, question));
    return node;
  };
  const isPaused = state === "paused";
  const question = `${name} will never get the ${count(lag)} samples that it lacks, unless they are copied from another backend. Discard them?`;
  return make("td", { className: "actions" }, isPaused ? button("Start", "start") : button("Stop", "stop"),
    (isPaused || state === "retrying") && lag > 0 && button("Discard", "discard", question));
}

function showActivity({ body }, { elements, total }, by) {
  const rows = elements.map((element) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, make("a", { href: `#/trends?${new URLSearchParams({ e: element.element })}` }, element.element)),
      cell("State", element.state, `state-${element.state.replaceAll(" ", "-")}`),
      cell("Silent", element.silent_s === null ? "–" : duration(element.silent_s), "number"),
      cell("Rate, 1/s", number(Number(element.rate_hz.toPrecision(3))), "number"),
      cell("Received", count(element.received), "number"),
      cell("Lost", count(element.lost), element.lost ? "number" : "number zero"),
      cell("Why", element.reasons || "–", "why"),
    ),
  );
  if (total > elements.length) rows.push(emptyRow(`and ${count(total - elements.length)} more`, ELEMENTS.length));
  const none = by === "lost" ? "Nothing was lost." : by === "disconnected" ? "None is disconnected or paused." : "No element is known yet.";
  body.replaceChildren(...(rows.length ? rows : [emptyRow(none, ELEMENTS.length)]));
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

function showBackends({ body }, backends, change) {
  if (body.contains(document.activeElement)) return; // the button that somebody is about to press stays
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
      actions(backend, change),
    );
  });
  body.replaceChildren(...(rows.length ? rows : [emptyRow("No backend is configured.", BACKENDS.length)]));
}

function showLedger({ head, body }, list, totals) {
  const lanes = new Map();
  const present = new Set(["stored", "buffered", "rejected"]);
  for (const { lane, outcome, count: samples } of totals) {
    if (!lanes.has(lane)) lanes.set(lane, {});
    lanes.get(lane)[outcome] = (lanes.get(lane)[outcome] || 0) + samples;
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
  const lines = reasons.map(({ lane, group, outcome, reason, count: samples }) =>
    make("li", {}, `${count(samples)} ${outcome}, ${lane}${group ? `, group ${group}` : ""}: ${reason}`),
  );
  list.replaceChildren(...lines);
}
