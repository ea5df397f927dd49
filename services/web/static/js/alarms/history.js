// What was: alarms as pairs of came and gone in a range of time, and how the alarm system does in it.

import { askJson, wordsOf } from "../api.js";
import { cell, make, repeat, svgNode } from "../dom.js";
import { count, number } from "../format.js";
import { endsOf, parametersOf, rangeControl, rangeOf } from "../range.js";
import { Rows, table } from "../table.js";
import { isoOf } from "../time.js";
import { at, lasted, signOf, valueOf } from "./words.js";

const EVERY_MS = 10_000;
const DAY_S = 86_400;
const MOST = 500; // pairs
const PAIRS = ["Priority", "Alarm", "Value", "Came", "Lasted", "Acknowledged", "Said"];
const FIGURES = ["Figure", "Is", "Should be"];
const FREQUENT = ["Alarm", "Rule", "Came", "Share"];
const PLOT = { width: 640, height: 80 };

/** The part of the page. Returns `{nodes, stop}`. */
export function history(parameters, remember) {
  let range = rangeOf(parameters, DAY_S);
  const alarm = parameters.get("alarm") ?? "";
  const pairs = table("Came and gone", "pairs", { columns: PAIRS, numbers: new Set(["Value"]) });
  const figures = table("How the alarm system does", "figures", { columns: FIGURES, words: "After ISA-18.2 and IEC 62682, of what was annunciated." });
  const frequent = table("Most frequent", "frequent", { columns: FREQUENT, numbers: new Set(["Came", "Share"]) });
  const plot = make("div", { className: "rates" });
  figures.scroll.before(plot);
  const control = rangeControl(range, (next) => {
    range = next;
    control.set(next);
    remember({ ...parametersOf(next), ...(alarm ? { alarm } : {}) });
    refreshing.now();
  });
  const everyone = make("a", { href: "#/alarms?show=history", hidden: !alarm }, "Show all alarms");
  pairs.title.after(control.node, everyone);
  const rows = new Rows(pairs.body, pairRow, PAIRS.length);
  const refresh = async (signal) => {
    const [start, end] = endsOf(range).map(isoOf);
    const query = new URLSearchParams({ start, end });
    const [{ pairs: found }, told] = await Promise.all([
      askJson(`/v1/alarms/history?${query}&limit=${MOST}${alarm ? `&alarm=${encodeURIComponent(alarm)}` : ""}`, { signal }),
      askJson(`/v1/alarms/statistics?${query}`, { signal }),
    ]);
    rows.show(found.map(([came]) => [came.occurrence, came]), "Nothing came in this range.");
    pairs.tell(found.length === MOST ? `These are the newest ${count(MOST)}; choose a shorter range for the others.` : "");
    plot.replaceChildren(...ratesOf(told));
    figures.body.replaceChildren(...figuresOf(told).map(([text, is, wanted, isGood]) => make("tr", {}, make("th", { scope: "row" }, text), cell("Is", is, isGood ? "" : "error"), cell("Should be", wanted, "muted"))));
    frequent.body.replaceChildren(...(told.most_frequent.length ? told.most_frequent.map((row) => make("tr", {}, make("th", { scope: "row" }, row.key || row.rule), cell("Rule", row.rule), cell("Came", count(row.alarms), "number"), cell("Share", percent(row.share), "number")))
      : [make("tr", {}, make("td", { colSpan: FREQUENT.length, className: "muted" }, "Nothing came in this range."))]));
  };
  const refreshing = repeat(refresh, EVERY_MS, (error) => error && pairs.tell(wordsOf(error), true));
  return {
    nodes: [pairs.section, figures.section, frequent.section],
    stop: () => {
      refreshing.stop();
      control.close();
    },
  };
}

function pairRow() {
  const fields = Object.fromEntries(PAIRS.map((text) => [text, cell(text, "", text === "Value" ? "number" : "")]));
  fields.Alarm = make("th", { scope: "row", className: "why" });
  const update = (came) => {
    fields.Priority.replaceChildren(make("span", { className: "priority" }, signOf(came.prior, came.ack_state === "owed"), `${came.class} ${came.prior}`));
    fields.Alarm.replaceChildren(make("div", {}, came.text || came.key, make("div", { className: "muted" }, `${came.key} · ${came.rule}`)));
    fields.Value.textContent = valueOf(came);
    fields.Came.textContent = at(came.came_time);
    fields.Lasted.textContent = lasted(came.came_time, came.gone_time);
    fields.Acknowledged.textContent = came.ack_time ? `${came.ack_user}, ${at(came.ack_time)}` : came.obsolete ? "never: it came again" : came.ack_state;
    fields.Said.textContent = came.comment;
    fields.Said.className = "why";
  };
  return { nodes: [make("tr", {}, Object.values(fields))], update };
}

const percent = (share) => `${number(Number((100 * share).toPrecision(3)))} %`;

/** Figures of the standard: name, what it is, what it should be, and whether it is. */
function figuresOf({ performance: is }) {
  const few = (value) => number(Number(value.toPrecision(3)));
  return [
    ["Alarms", count(is.alarms), "", true],
    ["In 10 minutes, on average", few(is.per_10_minutes), "about 1", is.per_10_minutes <= 2],
    ["In 10 minutes, at most", count(is.most_in_10_minutes), "10 at most", is.most_in_10_minutes <= 10],
    ["A day, on average", few(is.per_day), "about 150", is.per_day <= 300],
    ["Floods", `${count(is.floods)}, ${percent(is.flooded)} of the time`, "less than 1 %", is.flooded < 0.01],
    ["Standing for more than a day", count(is.standing), "fewer than 5", is.standing < 5],
    ["Chattering", count(is.chattering), "none", is.chattering === 0],
    ["Fleeting", count(is.fleeting), "none", is.fleeting === 0],
  ];
}

/** Alarms per 10 minutes, drawn; more than 10 is a flood's. */
function ratesOf({ rates, start, end }) {
  const most = Math.max(0, ...rates.map(({ alarms }) => alarms));
  if (!most) return [];
  const top = Math.max(most, 12);
  const width = PLOT.width / rates.length;
  const bars = rates.flatMap(({ alarms }, index) => alarms ? [svgNode("rect", { x: index * width, y: PLOT.height * (1 - alarms / top), width: Math.max(width - 1, 1), height: (PLOT.height * alarms) / top, class: alarms > 10 ? "over" : "" })] : []);
  const limit = PLOT.height * (1 - 10 / top);
  const svg = svgNode("svg", { viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, preserveAspectRatio: "none", role: "img", "aria-label": `Alarms per 10 minutes, at most ${most}` },
    ...bars, svgNode("line", { x1: 0, x2: PLOT.width, y1: limit, y2: limit }));
  return [svg, make("p", { className: "ends muted" }, make("span", {}, at(start)), make("span", {}, `alarms per 10 minutes, at most ${count(most)}; the line is 10`), make("span", {}, at(end)))];
}
