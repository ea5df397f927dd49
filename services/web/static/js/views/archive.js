// Archive health: backends, how elements have been doing, and the ledger.

import { ask, askJson, wordsOf } from "../api.js";
import { confirmed } from "../asking.js";
import { askCaller } from "../caller.js";
import { cell, emptyRow, make, repeat } from "../dom.js";
import { count, duration, number } from "../format.js";
import { heading, Rows, table } from "../table.js";

export const title = "Archive";

const EVERY_MS = 3000;
const OUTCOMES = ["stored", "smoothed", "duplicate", "buffered", "rejected", "dead-lettered", "dropped"];
const BACKENDS = ["Backend", "State", "Position", "Lag, samples", "Oldest waiting", "Holds", "Covers", ""];
const ORDERS = [["silent", "silent for longest"], ["disconnected", "disconnected or paused"], ["rate", "fastest"], ["lost", "lost samples"], ["name", "by name"]];
const ELEMENTS = ["Element", "State", "Silent", "Rate, 1/s", "Received", "Lost", "Why"];
const NUMBERS = new Set(["Position", "Lag, samples", "Oldest waiting", "Holds", "Silent", "Rate, 1/s", "Received", "Lost"]);
const WORDS = { stop: "Stop", start: "Start", discard: "Discard" };

/** Show it, and keep it true until the returned function is called. */
export function mount(root) {
  const leaving = new AbortController();
  let refusal = ""; // of what somebody wanted to change
  const backends = table("Backends", "backends", { columns: BACKENDS, numbers: NUMBERS });
  const elements = table("Elements, in the last hour", "activity", { columns: ELEMENTS, numbers: NUMBERS });
  const ledger = table("Ledger", "ledger", { words: "What became of every sample that was received, by backend." });
  const reasons = make("ul", { className: "reasons", id: "reasons" });
  const order = make("select", { id: "order", aria: { label: "Which come first" } }, ...ORDERS.map(([value, text]) => make("option", { value }, text)));
  elements.title.after(order);
  ledger.section.append(reasons);
  root.append(backends.section, elements.section, ledger.section);
  const change = async (name, what, lines) => {
    if (lines && !(await confirmed(`${WORDS[what]} what ${name} lacks?`, lines, WORDS[what], leaving.signal))) return;
    refusal = "";
    try {
      await ask(`/v1/backends/${encodeURIComponent(name)}/${what}`, { method: "POST" });
    } catch (error) {
      refusal = wordsOf(error);
    }
    refreshing.now();
  };
  const rows = new Rows(backends.body, (backend) => backendRow(backend, change), BACKENDS.length);
  const refresh = async (signal) => {
    const by = order.value;
    const told = await Promise.allSettled([
      Promise.all([askJson("/v1/backends", { signal }), askCaller(signal)]).then(([{ backends: states }, caller]) =>
        rows.show(states.map((state) => [state.name, { ...state, mayChange: caller.may("operate") && caller.isWhole }]), "No backend is configured.")),
      askJson(`/v1/elements/activity?by=${by}&limit=10`, { signal }).then((activity) => showActivity(elements, activity, by)),
      askJson("/v1/ledger", { signal }).then(({ totals }) => showLedger(ledger, reasons, totals)),
    ]);
    const failed = told.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  };
  const refreshing = repeat(refresh, EVERY_MS, (error) => backends.tell(error ? wordsOf(error) : refusal, true));
  order.addEventListener("change", refreshing.now);
  return () => {
    refreshing.stop();
    leaving.abort();
  };
}

/** A backend, and what an operator may do to it: stop and start it, and give up what it lacks while it is stopped. */
function backendRow({ name, kind }, change) {
  const cells = Object.fromEntries(BACKENDS.slice(1, -1).map((text) => [text, cell(text, "", NUMBERS.has(text) ? "number" : "")]));
  const button = (what, work) => make("button", { type: "button", title: `${WORDS[what]} ${name}`, onclick: work }, WORDS[what]);
  const word = make("div");
  const trouble = make("div", { className: "error" });
  const refused = make("a", { href: "#/storage", title: `Dead letters of ${name}` });
  cells.State.append(make("div", {}, word, trouble, refused));
  let lag = 0;
  const stop = button("stop", () => change(name, "stop"));
  const start = button("start", () => change(name, "start"));
  const discard = button("discard", () =>
    change(name, "discard", [`${name} will never get the ${count(lag)} samples that it lacks, unless they are copied from another backend.`]));
  const node = make("tr", {}, make("th", { scope: "row" }, name, make("span", { className: "muted" }, ` ${kind}`)), ...Object.values(cells),
    make("td", { className: "actions" }, stop, start, discard));
  const update = (backend) => {
    lag = backend.lag_samples;
    cells.State.className = `state-${backend.state}`;
    word.textContent = backend.state;
    trouble.textContent = backend.last_error;
    refused.hidden = !backend.dead_letters;
    refused.textContent = `refused ${count(backend.dead_letters)} ${backend.dead_letters === 1 ? "sample" : "samples"}`;
    cells.Position.textContent = backend.position === null ? "–" : count(backend.position);
    cells["Lag, samples"].textContent = count(lag);
    cells["Oldest waiting"].textContent = duration(backend.oldest_unflushed_s);
    cells.Holds.textContent = count(backend.samples);
    cells.Covers.textContent = span(backend.first, backend.last);
    const isPaused = backend.state === "paused";
    const focused = document.activeElement;
    stop.hidden = !backend.mayChange || isPaused;
    start.hidden = !backend.mayChange || !isPaused;
    discard.hidden = !backend.mayChange || !(isPaused || backend.state === "retrying") || !lag;
    if (node.contains(focused) && focused.hidden) (isPaused ? start : stop).focus();
  };
  return { nodes: [node], update };
}

/** How some elements have been doing, of those that come first. */
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

function span(first, last) {
  if (!first) return "nothing yet";
  const [from, to] = [first, last].map((time) => `${time.slice(0, 10)} ${time.slice(11, 16)}`);
  return from.slice(0, 10) === to.slice(0, 10) ? `${from} to ${to.slice(11)} UTC` : `${from} to ${to} UTC`;
}

/** Counts by backend and outcome, and the reasons of what was not stored. */
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
