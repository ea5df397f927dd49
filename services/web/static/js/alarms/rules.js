// Rules: in force, in words; one as a document with its history; checked as it is written, tried on the past, put in force.

import { ask, askJson, isAborted, wordsOf } from "../api.js";
import { confirmed } from "../asking.js";
import { askCaller } from "../caller.js";
import { cell, make, repeat, whenQuiet } from "../dom.js";
import { count } from "../format.js";
import { follow, progressOf, wordsOfEnd } from "../jobs.js";
import { folded, Rows, scrolled, table } from "../table.js";
import { at } from "./words.js";

const EVERY_MS = 5000;
const COLUMNS = ["Rule", "What it does", "Alarm", "Since", ""];
const PASTS = [["now-1d", "the last day"], ["now-7d", "the last week"], ["now-30d", "the last 30 days"]];
const EXAMPLE = { name: "too-hot", kind: "threshold", elements: ["plant:T*"], above: 80, hysteresis: 2, alarm: "alert", text: "{key} is at {value}" };

/** The part of the page. Returns `{nodes, stop}`. */
export function rules(parameters) {
  const leaving = new AbortController();
  let said = ""; // what was done last
  const card = table("Rules in force", "rules", { columns: COLUMNS });
  const state = make("p", { id: "rules-state", className: "muted", role: "status" });
  card.scroll.before(state);
  const editor = editorOf(leaving.signal, (text) => {
    said = text;
    refreshing.now();
  });
  const rows = new Rows(card.body, (version) => ruleRow(version, editor, leaving.signal), COLUMNS.length);
  const wanted = parameters.get("rule");
  const refresh = async (signal) => {
    const [{ rules: found, status }, caller] = await Promise.all([askJson("/v1/rules", { signal }), askCaller(signal)]);
    const mayChange = caller.may("administer") && caller.isWhole;
    editor.allow(mayChange);
    const shown = [...found].sort((one, other) => (other.name === wanted) - (one.name === wanted));
    rows.show(shown.map((version) => [version.name, { ...version, failed: status.failed[version.name] ?? "" }]),
      "There are none yet. Write one below, check it, try it on the past, and put it in force.");
    state.textContent = wordsOfStatus(status);
    state.classList.toggle("error", Boolean(status.trouble || status.gaps || Object.keys(status.failed).length));
  };
  const refreshing = repeat(refresh, EVERY_MS, (error) => (error ? card.tell(wordsOf(error), true) : card.tell(said)));
  return {
    nodes: [card.section, editor.section],
    stop: () => {
      refreshing.stop();
      editor.stop();
      leaving.abort();
    },
  };
}

/** How the rules do, in a sentence or two. */
function wordsOfStatus({ rules: number, lag, late, gaps, trouble, failed }) {
  const names = Object.keys(failed);
  return [`${count(number)} ${number === 1 ? "rule" : "rules"}, ${lag ? `${count(lag)} samples not seen yet` : "every sample seen"}.`, late && `${count(late)} samples came too late for a rule.`,
    gaps && `${count(gaps)} entries of the journal were gone before the rules saw them.`, names.length && `Taken out because they failed: ${names.join(", ")}.`, trouble].filter(Boolean).join(" ");
}

function ruleRow({ name }, editor, signal) {
  const fields = Object.fromEntries(COLUMNS.slice(1, -1).map((text) => [text, cell(text, "", text === "Since" ? "" : "why")]));
  let version;
  const look = make("button", { type: "button", title: `Document and history of ${name}` });
  const edit = make("button", { type: "button", title: `Write ${name} anew, from what it says`, onclick: () => editor.edit(version.rule) }, "Edit below");
  const place = make("div", { className: "about" });
  const below = folded(look, COLUMNS.length, () => showHistory(place, name, signal), place);
  const node = make("tr", { data: { rule: name } }, make("th", { scope: "row" }, name), ...Object.values(fields), make("td", { className: "actions" }, look, edit));
  const update = (next) => {
    version = next;
    fields["What it does"].replaceChildren(make("div", {}, next.words, next.failed && make("div", { className: "error" }, `It failed: ${next.failed}`), next.rule.enabled === false && make("div", { className: "muted" }, "It is not enabled.")));
    fields.Alarm.textContent = next.rule.alarm || "events only";
    fields.Since.textContent = at(next.changed);
    edit.hidden = Boolean(next.origin);
  };
  return { nodes: [node, below], update };
}

/** Every version of a rule, newest first. */
async function showHistory(place, name, signal) {
  try {
    const { versions } = await askJson(`/v1/rules/${encodeURIComponent(name)}/history`, { signal });
    place.replaceChildren(...versions.map((version) => make("details", { open: version === versions[0] },
      make("summary", {}, `Version ${version.number}, ${at(version.changed)}, ${version.user ? `by ${version.user}` : `from ${version.origin}`}${version.rule ? "" : ": taken out"}`),
      version.rule && make("pre", {}, JSON.stringify(version.rule, null, 2)))));
  } catch (error) {
    if (!isAborted(error)) place.replaceChildren(make("p", { className: "error" }, wordsOf(error)));
  }
}

/** Where a rule is written: checked as it is, tried, and put in force. */
function editorOf(signal, changed) {
  const text = make("textarea", { id: "rule-text", rows: 12, spellcheck: false, value: JSON.stringify(EXAMPLE, null, 2), aria: { label: "The rule, as JSON", describedby: "rule-check" } });
  const check = make("p", { id: "rule-check", className: "note", role: "status" });
  const past = make("select", { id: "rule-past", aria: { label: "On which past" } }, ...PASTS.map(([value, words]) => make("option", { value }, words)));
  const trial = make("div", { id: "rule-trial", aria: { live: "polite" } });
  const button = (id, words, work) => make("button", { type: "button", id, onclick: () => busy(work) }, words);
  const buttons = [button("try-rule", "Try it on", () => tryOut(document(), past.value, trial, signal)), button("put-rule", "Put it in force", put), button("remove-rule", "Take it out …", remove)];
  const section = make("section", { className: "card rule-editor", aria: { labelledby: "rule-editor-title" } }, make("h2", { id: "rule-editor-title" }, "Write a rule"),
    make("p", { className: "muted" }, "As in a file of rules, in JSON. It is checked as you write; trying it writes nothing and tells nobody."), text, check,
    make("div", { className: "buttons" }, buttons[0], past, ...buttons.slice(1)), trial);
  const document = () => JSON.parse(text.value);
  let asking = new AbortController();
  const say = (words, wrong) => {
    check.textContent = words;
    check.classList.toggle("error", wrong);
  };
  const look = whenQuiet(async () => {
    asking.abort();
    asking = new AbortController();
    try {
      const { words } = await askJson("/v1/rules/check", { json: document(), signal: AbortSignal.any([asking.signal, signal]) });
      say(words, false);
    } catch (error) {
      if (!isAborted(error)) say(error instanceof SyntaxError ? `This is no JSON: ${error.message}` : wordsOf(error), true);
    }
  }, 300);
  async function busy(work) {
    for (const one of buttons) one.disabled = true;
    try {
      await work();
    } catch (error) {
      if (!isAborted(error)) say(error instanceof SyntaxError ? `This is no JSON: ${error.message}` : wordsOf(error), true);
    }
    for (const one of buttons) one.disabled = false;
  }
  async function put() {
    const rule = document();
    const { name, number } = await askJson(`/v1/rules/${encodeURIComponent(rule.name)}`, { method: "PUT", json: rule, signal });
    changed(`${name} is in force, version ${number}.`);
  }
  async function remove() {
    const { name } = document();
    if (!(await confirmed(`Take ${name} out?`, ["Its alarms are over. Its history, and what it found, stay."], "Take it out", signal))) return;
    await ask(`/v1/rules/${encodeURIComponent(name)}`, { method: "DELETE", signal });
    changed(`${name} was taken out.`);
  }
  text.addEventListener("input", look);
  look();
  return {
    section,
    stop: () => look.cancel(),
    allow: (mayChange) => buttons.slice(1).forEach((one) => (one.hidden = !mayChange)),
    edit(rule) {
      text.value = JSON.stringify(rule, null, 2);
      look();
      text.focus();
    },
  };
}

/** Try a rule on the past, as a job: how far it is, then how many alarms a day that makes, and the first of them. */
async function tryOut(rule, start, place, signal) {
  place.replaceChildren();
  const job = await askJson("/v1/rules/test", { json: { rules: [rule], start, shown: 20 }, signal });
  const ended = await follow(job, (now, trouble) => place.replaceChildren(trouble || progressOf(now, "Trial")), signal);
  if (ended.state !== "done") return place.replaceChildren(make("p", { className: "error" }, wordsOfEnd(ended)));
  const { summary: [found], events } = await askJson(ended.result, { signal });
  const kinds = Object.entries(found.events).map(([kind, number]) => `${count(number)} ${kind}`).join(", ");
  const words = kinds ? `${count(found.alarms_per_day)} alarms a day, of ${count(found.instances)} ${found.instances === 1 ? "instance" : "instances"}: ${kinds}.` : "It would have found nothing.";
  const rows = events.map((event) => make("tr", {}, make("th", { scope: "row" }, at(event.time, 3)), cell("Of", event.key), cell("What", event.kind), cell("Value", String(event.value ?? ""))));
  const heads = ["Time", "Of", "What", "Value"].map((text) => make("th", { scope: "col" }, text));
  return place.replaceChildren(make("p", { className: "verdict" }, words), ...(rows.length ? [scrolled(make("table", { className: "stack" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)), { label: "The first events" })] : []));
}
