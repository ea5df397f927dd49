// What a verification found, in words: whether two backends hold the same, what differs, and what was not compared.

import { cell, make } from "../dom.js";
import { count } from "../format.js";
import { scrolled } from "../table.js";
import { parseTime, shownTime, zoneName } from "../time.js";

const SHOWN = 50;
const ALL_OF_TIME = 400; // years

/** The report as nodes; `repair(target, source)` is offered where something differs, if it may. */
export function reportOf({ ended, request }, report, repair) {
  const { same, compared, backends: [one, other] } = report;
  const isEmpty = !compared[one] && !compared[other];
  const verdict = isEmpty ? "There was nothing to compare: neither holds a sample of this." : same ? `${one} and ${other} hold the same.` : `They differ in ${samplesOf(report.remaining)}.`;
  const differing = report.segments.filter((segment) => !segment.same);
  const offer = (target, source) => make("button", { type: "button", onclick: () => repair(target, source) }, `Fill ${target} from ${source} …`);
  return [
    make("p", { className: `verdict ${isEmpty ? "" : same ? "good" : "bad"}`, id: "verdict" }, verdict),
    make("ul", { className: "sentences" }, ...sentences(report, request, ended).map((text) => make("li", {}, text))),
    !same && repair && make("div", { className: "buttons" }, offer(other, one), offer(one, other)),
    ...listed("Not compared", report.exempt, (shown) => make("ul", { className: "reasons", id: "exempt" }, ...shown.map((one) => make("li", {}, exemption(one))))),
    ...listed("Segments that differ", differing, (shown) => grid("Segments that differ", ["From", "To", "Groups", one, other], shown.map((segment) => segmentRow(segment, one, other)))),
    ...listed("Samples that differ", report.samples, (shown) => grid("Samples that differ", ["Element", "Time", "What", one, other], shown.map((sample) => sampleRow(sample, one, other)))),
  ].filter(Boolean);
}

const samplesOf = (number) => `${count(number)} ${number === 1 ? "sample" : "samples"}`;

/** What was compared, what differs, and what was done about it. */
function sentences({ backends: [one, other], start, end, compared, received_until: until, only_in: only, changed, repaired }, { elements }, ended) {
  const of = elements ? ` of ${elements.join(", ")}` : "";
  const found = [
    `Compared ${samplesOf(compared[one])} of ${one} and ${samplesOf(compared[other])} of ${other}${of}, ${span(start, end)}${until ? `, received until ${at(until)}` : ""}; done ${at(ended)} ${zoneName()}.`,
  ];
  if (only[one] || only[other] || changed) {
    const were = repaired ? "Before the repair " : "";
    found.push(`${were}${samplesOf(only[one])} ${repaired ? "were " : ""}only in ${one}, ${samplesOf(only[other])} only in ${other}, ${samplesOf(changed)} with another content.`);
  }
  if (repaired) found.push(`Filled ${repaired.backend}: ${samplesOf(repaired.stored)} stored, ${count(repaired.corrected)} of them corrections.`);
  return found;
}

function span(start, end) {
  const [from, to] = [parseTime(start), parseTime(end)];
  const years = Number(to - from) / (365 * 86_400e9);
  return years > ALL_OF_TIME ? "in all of time" : `from ${at(start)} to ${at(end)}`;
}

const at = (iso) => shownTime(parseTime(iso), 0);

function exemption({ backend, groups, samples, reason }) {
  return `${samples === null ? "samples" : samplesOf(samples)} of ${backend}${groups.length ? `, group ${groups.join(", ")}` : ""}: ${reason}`;
}

/** A part of the report with its heading; nothing when there is nothing in it. */
function listed(title, items, draw) {
  if (!items.length) return [];
  const more = items.length > SHOWN ? `, the first ${SHOWN} of ${count(items.length)}` : "";
  return [make("h3", {}, `${title}${more}`), draw(items.slice(0, SHOWN))];
}

function grid(label, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  return scrolled(make("table", { className: "stack" }, make("thead", {}, head), make("tbody", {}, ...rows)), { label });
}

function segmentRow({ start, end, groups, rows }, one, other) {
  return make("tr", {}, make("th", { scope: "row" }, at(start)), cell("To", at(end)), cell("Groups", groups.join(", ")), cell(one, count(rows[one])), cell(other, count(rows[other])));
}

function sampleRow({ element, source_time: time, what, ...contents }, one, other) {
  const text = (name) => (contents[name] ? `${contents[name].value ?? "no value"}, status ${contents[name].status}` : "–");
  return make("tr", {}, make("th", { scope: "row" }, element), cell("Time", shownTime(parseTime(time), 9)), cell("What", what), cell(one, text(one), "why"), cell(other, text(other), "why"));
}
