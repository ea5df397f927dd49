// A row of the alarm list: how the alarm is, what may be done about it, and below it what became of it.

import { askJson, isAborted, wordsOf } from "../api.js";
import { cell, emptyRow, make } from "../dom.js";
import { folded, heading, scrolled } from "../table.js";
import { isoOf, now, parseTime } from "../time.js";
import { at, bandOf, changeOf, isOwed, isWanted, lasted, signOf, STATES, valueOf } from "./words.js";

export const COLUMNS = ["Priority", "State", "Alarm", "Value", "When", "Last said", ""];
export const NUMBERS = new Set(["Value"]);

const SHELVINGS = [["30min", "30 minutes"], ["1h", "1 hour"], ["2h", "2 hours"], ["4h", "4 hours"], ["8h", "8 hours"], ["", "until it has gone"]];
const TRANSITIONS = ["Time", "What", "Who", "Said", "State"];
const AROUND = 600n * 1_000_000_000n; // of what is shown in a trend

/** Nodes of an alarm and how they are brought up to date; `list` does what an operator wants done. */
export function alarmRow({ id }, list) {
  let alarm;
  const fields = Object.fromEntries(COLUMNS.slice(0, -1).map((name) => [name, cell(name, "", NUMBERS.has(name) ? "number" : "")]));
  fields.Alarm = make("th", { scope: "row", className: "what" });
  const next = make("button", { type: "button", className: "next", onclick: () => busy(alarm.state === "latched" ? list.act(alarm, "reset", {}) : list.acknowledge(alarm)) });
  const look = make("button", { type: "button", className: "look" });
  const place = make("div", { className: "about" });
  const about = aboutAlarm(place, list, () => alarm);
  const below = folded(look, COLUMNS.length, () => about.show(alarm), place);
  const node = make("tr", { tabIndex: -1, data: { alarm: id } }, Object.values(fields), make("td", { className: "actions" }, next, look));
  const busy = async (work) => {
    next.disabled = true;
    await work;
    next.disabled = false;
  };
  const update = (told) => {
    const before = alarm;
    alarm = { ...before, ...told };
    if (before && before.revision === told.revision && before.mayOperate === alarm.mayOperate) return;
    fill(fields, alarm);
    node.dataset.state = alarm.state;
    node.dataset.band = bandOf(alarm.priority);
    node.classList.toggle("wanted", isWanted(alarm));
    next.hidden = !alarm.mayOperate || !(isWanted(alarm) || alarm.state === "latched");
    next.textContent = alarm.state === "latched" ? "Reset" : "Acknowledge";
    next.title = `${next.textContent} ${alarm.rule} of ${alarm.key}`;
    look.title = `What became of ${alarm.rule} of ${alarm.key}`;
    if (!below.hidden) about.show(alarm);
  };
  return { nodes: [node, below], update };
}

function fill(fields, alarm) {
  const { priority, class: name, text, key, rule } = alarm;
  fields.Priority.replaceChildren(make("span", { className: "priority" }, signOf(priority, isWanted(alarm)), `${name} ${priority}`));
  fields.State.replaceChildren(make("div", {}, make("div", { className: "state" }, STATES[alarm.state]), ...hiddenBy(alarm)));
  const where = [key, rule].filter((part) => part && part !== text).join(" · ");
  fields.Alarm.replaceChildren(make("div", {}, make("div", {}, text || key || rule), make("div", { className: "muted" }, where)));
  fields.Value.textContent = valueOf(alarm);
  fields.When.replaceChildren(make("div", {}, at(alarm.came), alarm.gone && make("div", { className: "muted" }, `gone after ${lasted(alarm.came, alarm.gone)}`)));
  const { acknowledged, comment } = alarm;
  const who = acknowledged && `acknowledged by ${acknowledged.user}, ${at(acknowledged.time)}`;
  fields["Last said"].replaceChildren(make("div", { className: "last-said" }, comment, who && make("div", { className: "muted" }, who)));
}

/** Who or what hides an alarm, why and how long; and how it is beneath. */
function hiddenBy({ state, condition, shelved, suppressed, out_of_service: away }) {
  const of = (mark, until = "") => `${until}${mark.user ? ` by ${mark.user}` : ""}: ${mark.comment}`;
  const told = [shelved && of(shelved, shelved.one_shot ? `until it goes, at the latest ${at(shelved.until)}` : `until ${at(shelved.until)}`),
    suppressed && of(suppressed, `since ${at(suppressed.time)}`), away && of(away, `since ${at(away.time)}`)].filter(Boolean);
  const beneath = state === condition ? [] : [`beneath: ${STATES[condition]}`];
  return [...told, ...beneath].map((text) => make("div", { className: "muted" }, text));
}

/** What is below a row: what may be done, and all that was. */
function aboutAlarm(place, list, current) {
  const said = make("input", { className: "say", maxLength: 2000, placeholder: "Comment, or reason", aria: { label: "Comment, or reason" } });
  const duration = make("select", { aria: { label: "Shelve for how long" } }, ...SHELVINGS.map(([value, text]) => make("option", { value }, text)));
  duration.value = "1h";
  const buttons = {};
  const button = (name, text, work, isReasoned = false) => {
    const press = async () => {
      const words = said.value.trim();
      said.setCustomValidity(isReasoned && !words ? "Say why." : "");
      if (!said.reportValidity()) return;
      buttons[name].disabled = true;
      if ((await work(current(), words)) && said.value.trim() === words) said.value = ""; // else somebody goes on writing
      buttons[name].disabled = false;
    };
    return (buttons[name] = make("button", { type: "button", data: { act: name }, onclick: press }, text));
  };
  said.addEventListener("input", () => said.setCustomValidity(""));
  const shelve = (alarm, reason) => list.act(alarm, "shelve", { reason, ...(duration.value ? { for: duration.value } : {}) });
  const acts = make("div", { className: "acts" }, said,
    button("acknowledge", "Acknowledge", (alarm, comment) => list.acknowledge(alarm, comment)),
    button("reset", "Reset", (alarm, comment) => list.act(alarm, "reset", { comment })),
    button("comment", "Comment", (alarm, comment) => list.act(alarm, "comment", { comment }), true),
    make("span", { className: "shelve" }, button("shelve", "Shelve for", shelve, true), duration),
    button("unshelve", "Unshelve", (alarm, comment) => list.act(alarm, "unshelve", { comment })),
    button("away", "Take out of service", (alarm, reason) => list.act(alarm, "out-of-service", { reason }), true),
    button("back", "Return to service", (alarm, comment) => list.act(alarm, "in-service", { comment })));
  const links = make("p", { className: "links" });
  const body = make("tbody");
  const note = make("p", { className: "note", role: "status" }, "Loading …");
  const grid = scrolled(make("table", { className: "stack transitions" }, make("thead", {}, make("tr", {}, ...TRANSITIONS.map((text) => heading(text)))), body), { label: "What became of it" });
  place.append(acts, links, grid, note);
  let asking = new AbortController();
  const show = async (alarm) => {
    acts.hidden = !alarm.mayOperate;
    offer(buttons, alarm);
    links.replaceChildren(...linksOf(alarm));
    asking.abort();
    asking = new AbortController();
    const signal = AbortSignal.any([asking.signal, list.leaving.signal]);
    try {
      const { transitions } = await askJson(`/v1/alarms/${alarm.id}/transitions?start=now-365d`, { signal });
      body.replaceChildren(...(transitions.length ? transitions.reverse().map(transitionRow) : [emptyRow("Nothing in the last year.", TRANSITIONS.length)]));
      note.textContent = "";
    } catch (error) {
      if (isAborted(error)) return;
      note.textContent = wordsOf(error);
      note.classList.add("error");
    }
  };
  return { show };
}

/** Offer what the alarm's state allows. */
function offer(buttons, alarm) {
  const { condition, shelved, out_of_service: away } = alarm;
  const allowed = { acknowledge: isOwed(alarm), reset: condition === "latched", comment: true, shelve: !shelved, unshelve: shelved, away: !away, back: away };
  for (const [name, isAllowed] of Object.entries(allowed)) buttons[name].hidden = !isAllowed;
  buttons.shelve.parentElement.hidden = !allowed.shelve;
}

function linksOf({ id, key, rule, came, gone, isElement }) {
  const links = [];
  if (isElement && came) {
    const to = gone ? parseTime(gone) + AROUND : now();
    const query = new URLSearchParams({ e: key, from: isoOf(parseTime(came) - AROUND), to: isoOf(to) });
    links.push(make("a", { href: `#/trends?${query}` }, "Trend around it"));
  }
  return [...links, make("a", { href: `#/alarms?${new URLSearchParams({ show: "history", alarm: id })}` }, "When it came and went"),
    make("a", { href: `#/alarms?${new URLSearchParams({ show: "rules", rule })}` }, `Rule ${rule}`)];
}

function transitionRow(row) {
  return make("tr", {}, make("th", { scope: "row" }, at(row.time, 3)), cell("What", changeOf(row)), cell("Who", row.user || "the archive"),
    cell("Said", [row.comment, row.until && `until ${at(row.until)}`].filter(Boolean).join(", "), "why"), cell("State", STATES[row.after] ?? row.after));
}
