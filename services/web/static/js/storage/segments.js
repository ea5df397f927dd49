// Segments: the time units in which each backend holds each archive group, how large they are, and dropping the oldest.

import { askJson, isAborted, wordsOf } from "../api.js";
import { confirmed } from "../asking.js";
import { cell, make, repeat } from "../dom.js";
import { bytes, count } from "../format.js";
import { folded, heading, Rows, scrolled, table } from "../table.js";
import { ofField, parseTime, shownTime, zoneName } from "../time.js";

const EVERY_MS = 30_000;
const SHOWN = 50;
const COLUMNS = ["Backend", "Group", "Segments", "Samples", "Size", "From", "To", "Oldest goes", ""];
const NUMBERS = new Set(["Segments", "Samples", "Size", "Files"]);
const EACH = ["From", "To", "Samples", "Size", "Files", "State", "Goes"];

/** The part of the page. Returns `{section, stop}`. */
export function segments(askedCaller) {
  const leaving = new AbortController();
  const card = table("Segments", "segments", { columns: COLUMNS, numbers: NUMBERS,
    words: "The time units in which each backend holds each archive group. The oldest go when the retention of their group says so." });
  let said = ["", false];
  let held = [];
  const rows = new Rows(card.body, (item) => heldRow(item, drop), COLUMNS.length);
  const refresh = async (signal) => {
    const [{ backends }, caller] = await Promise.all([askJson("/v1/backends", { signal }), askedCaller(signal)]);
    // each by itself: one that does not answer hides nothing of the others
    const answers = await Promise.all(backends.map(({ name }) => askJson(`/v1/segments?${new URLSearchParams({ backend: name })}`, { signal }).catch(brokenOr)));
    held = answers.flatMap(({ segments: found }) => found ?? []);
    const items = backends.flatMap(({ name }, index) => groupsOf(name, answers[index], caller.may("administer")));
    rows.show(items.map((item) => [`${item.backend}\n${item.group}`, item]), "No backend holds anything in segments yet.");
  };
  const drop = async (backend, group, going, tell) => {
    if (!(await confirmed(`Drop ${count(going.length)} ${going.length === 1 ? "segment" : "segments"} of ${group} in ${backend}?`,
      wordsOfDrop(backend, group, going, held), "Drop", leaving.signal))) return;
    try {
      const { dropped } = await askJson(`/v1/segments?${new URLSearchParams({ backend, group, before: going.at(-1).end })}`, { method: "DELETE" });
      said = [`Dropped ${count(dropped.length)} segments of ${group} in ${backend}, ${count(total(dropped, "rows"))} samples. Answers say so from now on.`, false];
      tell("");
    } catch (error) {
      tell(wordsOf(error), true);
    }
    refreshing.now();
  };
  const refreshing = repeat(refresh, EVERY_MS, (error) => (error ? card.tell(wordsOf(error), true) : card.tell(...said)));
  const stop = () => {
    leaving.abort();
    refreshing.stop();
  };
  return { section: card.section, stop };
}

/** What is said in place of a backend's segments when it does not give them. */
function brokenOr(error) {
  if (isAborted(error)) throw error;
  return { trouble: wordsOf(error) };
}

/** What a backend holds, by archive group; a backend that lists none, or does not answer, says so. */
function groupsOf(backend, { segments: found, trouble }, mayDrop) {
  if (trouble) return [{ backend, group: "", trouble, list: [] }];
  const groups = Map.groupBy(found, ({ group }) => group);
  if (!groups.size) return [{ backend, group: "", list: [], words: "holds nothing in segments" }];
  return [...groups].map(([group, list]) => ({ backend, group, list, mayDrop }));
}

const total = (list, key) => list.reduce((sum, one) => sum + one[key], 0);
const day = (iso) => shownTime(parseTime(iso), 0).slice(0, 16);
const size = (number) => (number ? bytes(number) : "–");

/** What would go, where the same is held as well, and how it comes back: in sentences. */
function wordsOfDrop(backend, group, going, held) {
  const [start, end] = [going[0].start, going.at(-1).end];
  const known = total(going, "bytes") ? `, ${bytes(total(going, "bytes"))}` : "";
  const others = Map.groupBy(held.filter((one) => one.backend !== backend && one.group === group && one.start < end && one.end > start), (one) => one.backend);
  const copies = [...others].map(([name, list]) => `${name} lists ${count(total(list, "rows"))} samples`);
  return [
    `${count(total(going, "rows"))} samples${known}, of ${day(start)} to ${day(end)} ${zoneName()}, go from ${backend}.`,
    copies.length ? `Of the same group and time ${copies.join(", ")}: from there they can be copied back.`
      : "No other backend lists segments of this group and time: what no other backend holds is gone for good.",
    "Every answer about this time says from then on that it was dropped by hand.",
  ];
}

/** What one backend holds of one group, and below it, when somebody looks, each segment. */
function heldRow({ backend, group }, drop) {
  const cells = Object.fromEntries(COLUMNS.slice(1, -1).map((text) => [text, cell(text, "", NUMBERS.has(text) ? "number" : "")]));
  const look = make("button", { type: "button", title: `Segments of ${group} in ${backend}` });
  let list = [];
  let shown = SHOWN;
  const dropping = dropForm(backend, group, () => list, drop);
  const body = make("tbody");
  const more = make("button", { type: "button" });
  const showEach = () => {
    body.replaceChildren(...list.slice(0, shown).map(segmentRow));
    more.hidden = list.length <= shown;
    more.textContent = `Show more: ${count(list.length - shown)} are left`;
  };
  const heads = make("tr", {}, ...EACH.map((text) => heading(text, NUMBERS.has(text))));
  const each = scrolled(make("table", { className: "stack" }, make("thead", {}, heads), body), { label: `Segments of ${group} in ${backend}` });
  const below = folded(look, COLUMNS.length, showEach, dropping, each, more);
  more.addEventListener("click", () => {
    shown += SHOWN;
    showEach();
  });
  const node = make("tr", {}, make("th", { scope: "row" }, backend), ...Object.values(cells), make("td", { className: "actions" }, look));
  /** Have the row hold words in place of figures, unless there are none. */
  const say = (text, className = "") => {
    for (const [name, node] of Object.entries(cells)) node.hidden = Boolean(text) && name !== "Group";
    Object.assign(cells.Group, { textContent: text, className, colSpan: text ? COLUMNS.length - 2 : 1 });
    cells.Group.dataset.label = text ? "" : "Group";
    look.hidden = Boolean(text);
    if (text) below.hidden = true;
  };
  const update = (item) => {
    list = item.list;
    const goes = list.find(({ dropped_at: at }) => at)?.dropped_at;
    if (!list.length) return say(item.trouble ?? item.words, item.trouble ? "error" : "muted");
    say("");
    const texts = { Group: group, Segments: count(list.length), Samples: count(total(list, "rows")), Size: size(total(list, "bytes")),
      From: day(list[0].start), To: day(list.at(-1).end), "Oldest goes": goes ? day(goes) : "never" };
    for (const [name, text] of Object.entries(texts)) cells[name].textContent = text;
    dropping.hidden = !item.mayDrop;
    if (!below.hidden) showEach();
    return undefined;
  };
  return { nodes: [node, below], update };
}

function segmentRow({ start, end, rows, bytes: large, files, state, dropped_at: goes }) {
  return make("tr", {}, make("th", { scope: "row" }, day(start)), cell("To", day(end)), cell("Samples", count(rows), "number"), cell("Size", size(large), "number"),
    cell("Files", files ? count(files) : "–", "number"), cell("State", state), cell("Goes", goes ? day(goes) : "never"));
}

/** For administrators: up to when to drop; what that means is told before. */
function dropForm(backend, group, listed, drop) {
  const input = make("input", { type: "datetime-local", step: "1", required: true, aria: { label: `Drop what ends before, of ${group} in ${backend}` } });
  const note = make("p", { className: "note", role: "status" });
  const tell = (text, wrong = false) => {
    note.textContent = text;
    note.classList.toggle("error", wrong);
  };
  const button = make("button", { type: "submit", className: "danger" }, "Drop …");
  const form = make("form", { className: "drop-segments" }, make("label", { className: "moment" }, make("span", { className: "muted" }, `Drop what ends at or before, ${zoneName()}`), input), button, note);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const before = ofField(input.value);
    const going = listed().filter(({ end, state }) => state === "closed" && parseTime(end) <= before);
    if (!going.length) return tell("No closed segment ends by then; the list below says where they end.", true);
    button.disabled = true;
    await drop(backend, group, going, tell);
    button.disabled = false;
    return undefined;
  });
  return form;
}
