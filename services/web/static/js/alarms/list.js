// The alarm list: what stands now, in the archive's order, live; and what an operator does about it.

import { askJson, isAborted, listen, wordsOf } from "../api.js";
import { confirmed } from "../asking.js";
import { askCaller } from "../caller.js";
import { make, repeat, whenQuiet } from "../dom.js";
import { count } from "../format.js";
import { Rows, table } from "../table.js";
import { zoneName } from "../time.js";
import { tellBadge } from "./badge.js";
import { alarmRow, COLUMNS, NUMBERS } from "./row.js";
import { isWanted, STATES } from "./words.js";

export const keys = [
  ["↑ ↓", "another alarm"],
  ["a", "acknowledge it"],
  ["Enter", "open or close it"],
  ["/", "search"],
];

const EVERY_MS = 10_000; // asked for again although nothing was heard
const LOST_EVERY_MS = 3000; // while nothing can be heard
const GAP_MS = 1000; // between two answers, however much is heard
const HELD_MS = 1000; // the order stays while somebody points at a button
const AT_ONCE = 4; // acknowledgements on their way
const PAGE = 200; // rows
const PRIORITIES = [[0, "all priorities"], [20, "priority 20 and up"], [40, "priority 40 and up"], [60, "priority 60 and up"], [80, "priority 80 and up"]];
const FIRST = "standing";

/** The list; what is chosen comes from `parameters` and goes to `remember`. Returns `{nodes, stop}`. */
export function alarmList(parameters, remember) {
  const list = new AlarmList(parameters, remember);
  return { nodes: list.nodes, stop: () => list.stop() };
}

class AlarmList {
  constructor(parameters, remember) {
    this.remember = remember;
    this.chosen = Object.fromEntries(["state", "rule", "priority", "search"].map((name) => [name, parameters.get(name) ?? ""]));
    this.chosen.state ||= FIRST;
    this.limit = PAGE;
    this.alarms = [];
    this.rules = null;
    this.said = ["", false];
    this.pointed = 0;
    this.leaving = new AbortController();
    this.build();
    this.rows = new Rows(this.card.body, (alarm) => alarmRow(alarm, this), COLUMNS.length);
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey);
    this.refreshing = repeat((signal) => this.refresh(signal), EVERY_MS, (error) => this.told(error));
    listen("/v1/alarms/live", (event, data) => this.heard(event, data), this.leaving.signal);
  }

  stop() {
    this.leaving.abort();
    this.refreshing.stop();
    this.typed.cancel();
    clearTimeout(this.timer);
    document.removeEventListener("keydown", this.onKey);
  }

  build() {
    this.card = table("Alarms", "alarms", { columns: COLUMNS, numbers: NUMBERS });
    this.card.section.classList.add("alarm-list");
    this.states = make("div", { className: "states", role: "group", aria: { label: "Which states" } });
    this.search = make("input", { type: "search", id: "alarm-search", placeholder: "Search: element, rule or text", value: this.chosen.search, spellcheck: false, aria: { label: "Search" } });
    this.rule = make("select", { id: "alarm-rule", aria: { label: "Rule" } });
    this.priority = make("select", { id: "alarm-priority", aria: { label: "Priority" } }, ...PRIORITIES.map(([least, text]) => make("option", { value: least || "" }, text)));
    this.priority.value = this.chosen.priority;
    this.all = make("button", { type: "button", id: "acknowledge-all", hidden: true, onclick: () => this.acknowledgeAll() });
    this.live = make("p", { id: "alarm-live", className: "muted", role: "status" });
    this.more = make("button", { type: "button", id: "more-alarms", hidden: true, onclick: () => this.showMore() }, "Show more");
    this.typed = whenQuiet(() => this.choose("search", this.search.value.trim()), 250);
    this.search.addEventListener("input", this.typed);
    this.rule.addEventListener("change", () => this.choose("rule", this.rule.value));
    this.priority.addEventListener("change", () => this.choose("priority", this.priority.value));
    this.card.body.addEventListener("pointermove", (event) => event.target.closest(".actions") && (this.pointed = Date.now()));
    const bar = make("div", { className: "alarm-bar" }, this.search, this.rule, this.priority, this.all);
    this.card.scroll.before(this.states, bar);
    this.card.scroll.after(make("div", { className: "alarm-foot" }, this.live, this.more));
    this.showRules([]);
    this.nodes = [this.card.section];
  }

  // -- what is there ----------------------------------------------------------------------------------

  choose(name, value) {
    if (this.chosen[name] === value) return;
    this.chosen[name] = value;
    this.limit = PAGE;
    this.remember(Object.fromEntries(Object.entries(this.chosen).filter(([key, text]) => text && !(key === "state" && text === FIRST))));
    this.showStates();
    this.refreshing.now();
  }

  showMore() {
    this.limit += PAGE;
    this.refreshing.now();
  }

  async refresh(signal) {
    this.isAsking = true;
    this.isDirty = false;
    clearTimeout(this.timer);
    this.timer = 0;
    try {
      const { state, ...others } = this.chosen;
      const query = new URLSearchParams({ ...Object.fromEntries(Object.entries(others).filter(([, text]) => text)), limit: String(this.limit) });
      if (state !== "all") query.set("state", state);
      const [answer, caller, told] = await Promise.all([
        askJson(`/v1/alarms?${query}`, { signal }),
        askCaller(signal),
        this.rules ?? askJson("/v1/rules", { signal }),
      ]);
      this.show(answer, caller, told);
    } finally {
      if (!signal.aborted) this.isAsking = false;
    }
  }

  show({ alarms, matching, counts }, caller, rules) {
    if (!this.rules) this.showRules(rules.rules);
    this.rules = rules.rules.length ? rules : null; // none yet: look again
    this.alarms = alarms;
    this.counts = counts;
    this.isHeld = Date.now() - this.pointed < HELD_MS;
    this.mayOperate = caller.may("operate");
    const elements = new Set(rules.rules.filter(({ rule }) => rule?.elements?.length).map(({ name }) => name));
    const shown = alarms.map((alarm) => [alarm.id, { ...alarm, mayOperate: this.mayOperate, isElement: elements.has(alarm.rule) }]);
    if (this.isHeld && shown.every(([key]) => this.rows.rows.has(key))) this.updateInPlace(shown);
    else this.rows.show(shown, this.noneIn(counts, rules.rules));
    this.showStates();
    tellBadge(counts);
    this.more.hidden = matching <= alarms.length;
    this.more.textContent = `Show more: these are the first ${count(alarms.length)} of ${count(matching)}`;
    const owed = alarms.filter(isWanted).length;
    this.all.hidden = !this.mayOperate || owed < 2;
    this.all.textContent = `Acknowledge all ${count(owed)} shown …`;
  }

  /** What is shown stays where it is while somebody is about to press a button; it is put in order afterwards. */
  updateInPlace(shown) {
    for (const [key, alarm] of shown) this.rows.rows.get(key).update(alarm);
    this.isDirty = true;
  }

  noneIn(counts, rules) {
    const total = Object.values(counts).reduce((sum, number) => sum + number, 0);
    if (!total && !rules.length) return "There are no rules yet, so nothing can raise an alarm. Write one in a file that [events] rules of the configuration names, or under Rules here.";
    if (!total) return "No alarm has ever come: none of the rules that name a class has found anything.";
    const { state, rule, priority, search } = this.chosen;
    if (rule || priority || search) return "No alarm fits what is chosen above.";
    return state === FIRST ? "Nothing stands: every alarm is normal." : "No alarm is in this state.";
  }

  showRules(rules) {
    const names = new Set([...rules.map(({ name }) => name), ...(this.chosen.rule ? [this.chosen.rule] : [])]);
    this.rule.replaceChildren(make("option", { value: "" }, "all rules"), ...[...names].sort().map((name) => make("option", { value: name }, name)));
    this.rule.value = this.chosen.rule;
  }

  /** The states as buttons, each with how many alarms are in it. */
  showStates() {
    const counts = this.counts ?? {};
    const sum = (names) => names.reduce((total, name) => total + (counts[name] ?? 0), 0);
    const all = Object.keys(STATES);
    const choices = [["standing", "all that stand", sum(all.filter((name) => name !== "normal"))], ["active", "active", null], ...all.map((name) => [name, STATES[name], sum([name])]), ["all", "all", sum(all)]];
    if (!this.states.children.length) {
      this.states.append(...choices.map(([state]) => make("button", { type: "button", data: { state }, onclick: () => this.choose("state", state) })));
    }
    choices.forEach(([state, text, number], index) => {
      const button = this.states.children[index];
      const words = this.counts && number !== null ? `${text} ${count(number)}` : text;
      if (button.textContent !== words) button.replaceChildren(text, ...(words === text ? [] : [" ", make("strong", {}, count(number))]));
      button.classList.toggle("zero", number === 0);
      button.setAttribute("aria-pressed", String(state === this.chosen.state));
    });
  }

  // -- what is heard ----------------------------------------------------------------------------------

  told(error) {
    this.isAsking = false;
    if (error && this.alarms.length === 0 && !this.counts) this.card.body.querySelector("td")?.replaceChildren("The alarms are not known.");
    this.card.tell(...(error ? [wordsOf(error), true] : this.said));
    if (this.isDirty) this.soon();
    else if (this.isLost) this.soon(LOST_EVERY_MS);
  }

  heard(event, data) {
    this.isLost = event === "lost";
    const words = this.isLost ? `Not live: what comes is asked for every few seconds. ${wordsOf(data)}` : `Live. Times are in ${zoneName()}.`;
    if (this.live.textContent !== words) this.live.textContent = words;
    this.live.classList.toggle("error", this.isLost);
    if (event === "idle") return;
    this.isDirty = true;
    if (!this.isAsking) this.soon(this.isLost ? LOST_EVERY_MS : GAP_MS);
  }

  /** Ask again in a while, once, however often this is called meanwhile. */
  soon(afterMs = GAP_MS) {
    this.timer ||= setTimeout(() => {
      this.timer = 0;
      this.refreshing.now();
    }, afterMs);
  }

  // -- what an operator does --------------------------------------------------------------------------

  /** Do something to an alarm; what the archive refuses is told in its words. Returns whether it was done. */
  async act({ id, text, key }, what, body) {
    try {
      const after = await askJson(`/v1/alarms/${id}/${what}`, { json: body, signal: this.leaving.signal });
      this.say(`${text || key}: ${STATES[after.state]}.`);
      this.alarms = this.alarms.map((alarm) => (alarm.id === id ? after : alarm));
      this.rows.rows.get(id)?.update({ ...after, mayOperate: this.mayOperate });
      return true;
    } catch (error) {
      if (isAborted(error)) return false;
      this.say(wordsOf(error), true);
      return false;
    } finally {
      this.isDirty = true;
      if (!this.isAsking) this.soon();
    }
  }

  acknowledge(alarm, comment = "") {
    return this.act(alarm, "acknowledge", { comment, occurrence: alarm.occurrence });
  }

  /** Acknowledge what is shown, as it was shown: what comes meanwhile is not. */
  async acknowledgeAll() {
    const owed = this.alarms.filter(isWanted);
    const first = owed.slice(0, 5).map(({ text, key }) => text || key);
    const lines = [...first, ...(owed.length > first.length ? [`and ${count(owed.length - first.length)} more`] : [])];
    if (!(await confirmed(`Acknowledge ${count(owed.length)} alarms?`, lines, "Acknowledge", this.leaving.signal))) return;
    this.all.disabled = true;
    let done = 0;
    const refused = [];
    const waiting = [...owed];
    const work = async () => {
      for (let alarm = waiting.shift(); alarm && !this.leaving.signal.aborted; alarm = waiting.shift()) {
        if (await this.acknowledge(alarm)) done += 1;
        else refused.push(this.said[0]);
        this.say(`Acknowledged ${count(done)} of ${count(owed.length)}.`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.all.disabled = false;
    if (refused.length) this.say(`Acknowledged ${count(done)} of ${count(owed.length)}; ${count(refused.length)} not: ${refused[0]}`, true);
  }

  say(text, wrong = false) {
    this.said = [text, wrong];
    this.card.tell(text, wrong);
  }

  // -- keyboard ---------------------------------------------------------------------------------------

  key(event) {
    if (event.target.closest?.("input, textarea, select, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = document.activeElement.closest?.("#alarms > tr[data-alarm]");
    const work = {
      ArrowDown: () => this.step(row, 1),
      ArrowUp: () => this.step(row, -1),
      "/": () => this.search.focus(),
      a: row && (() => this.acknowledgeRow(row)),
      Enter: row === document.activeElement && (() => row.querySelector(".look").click()),
    }[event.key];
    if (!work) return;
    event.preventDefault();
    work();
  }

  step(row, by) {
    const all = [...this.card.body.querySelectorAll("tr[data-alarm]")];
    const next = row ? all[all.indexOf(row) + by] : all[by > 0 ? 0 : all.length - 1];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }

  /** Acknowledge the alarm of a row, as it is shown, and go to the next one. */
  acknowledgeRow(row) {
    const alarm = this.alarms.find(({ id }) => id === row.dataset.alarm);
    if (!alarm || !this.mayOperate || !isWanted(alarm)) return;
    this.step(row, 1);
    this.acknowledge(alarm);
  }
}
