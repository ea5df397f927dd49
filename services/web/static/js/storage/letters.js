// Dead letters: what a backend refused for good, where and why; looked at, saved, mended, and sent again.

import { ask, askJson, isAborted, wordsOf } from "../api.js";
import { cell, download, emptyRow, make, repeat } from "../dom.js";
import { bytes, count } from "../format.js";
import { folded, Rows, scrolled, table } from "../table.js";
import { parseTime, shownTime } from "../time.js";

const EVERY_MS = 5000;
const SHOWN = 100; // letters
const MOST_LOOKED_AT = 10_000; // samples that are fetched to be shown
const LOOKED_AT = 50; // and shown
const COLUMNS = ["Since", "Backend", "Group", "Samples", "Elements", "Why", ""];
const NUMBERS = new Set(["Samples"]);
const TYPES = { ndjson: "application/x-ndjson", json: "application/json", arrow: "application/vnd.apache.arrow.stream" };

/** The part of the page; `caller` is asked for what may be offered. Returns `{section, stop}`. */
export function letters(askedCaller) {
  const card = table("Dead letters", "letters", { columns: COLUMNS, numbers: NUMBERS,
    words: "Samples that a backend refused for good. They wait here, and nothing is lost: send them again once the cause is mended." });
  const all = make("input", { type: "checkbox", id: "replayed" });
  const more = make("p", { className: "muted" });
  card.scroll.before(make("label", { className: "check" }, all, " also those that were sent again"));
  card.section.append(more);
  let said = ["", false];
  const rows = new Rows(card.body, (letter) => letterRow(letter, replay), COLUMNS.length);
  const refresh = async (signal) => {
    const [{ dead_letters: found }, caller] = await Promise.all([askJson(`/v1/dead-letters?replayed=${all.checked}`, { signal }), askedCaller(signal)]);
    const shown = all.checked ? found.slice(-SHOWN) : found.slice(0, SHOWN);
    rows.show(shown.map((letter) => [letter.id, { ...letter, mayReplay: caller.may("operate") }]),
      all.checked ? "No sample was ever refused." : "None waits: every backend took what it was given.");
    more.textContent = found.length > shown.length ? `These are the ${all.checked ? "newest" : "oldest"} ${count(SHOWN)} of ${count(found.length)}.` : "";
  };
  const replay = async (letter, mended = null) => {
    said = ["", false];
    try {
      const sent = mended && { body: mended, headers: { "Content-Type": TYPES[mended.name.split(".").at(-1).toLowerCase()] ?? TYPES.ndjson } };
      const { counts, reasons } = await askJson(`/v1/dead-letters/${letter.id}/replay`, { method: "POST", ...sent });
      said = [wordsOfReceipt(letter, counts, reasons), false];
    } catch (error) {
      said = [wordsOf(error), true];
    }
    refreshing.now();
  };
  const refreshing = repeat(refresh, EVERY_MS, (error) => (error ? card.tell(wordsOf(error), true) : card.tell(...said)));
  all.addEventListener("change", refreshing.now);
  return { section: card.section, stop: refreshing.stop };
}

/** What became of samples that were sent again. */
function wordsOfReceipt({ id }, counts, reasons) {
  const words = { buffered: "durable and on their way to the backends", rejected: "refused by the intake" };
  const became = Object.entries(counts).filter(([, number]) => number).map(([outcome, number]) => `${count(number)} ${words[outcome] ?? outcome}`);
  const why = Object.keys(reasons).map((reason) => ` ${reason}.`).join("");
  return `Dead letter ${id} was sent again: ${became.join(", ") || "nothing was in it"}.${why}`;
}

/** A letter, and below it, when somebody looks, its samples. */
function letterRow(letter, replay) {
  const again = make("button", { type: "button", title: `Send dead letter ${letter.id} through the intake again` }, "Send again");
  const done = make("span", { className: "muted" });
  const look = make("button", { type: "button", title: `Samples of dead letter ${letter.id}` });
  const mended = make("input", { type: "file", accept: ".ndjson,.json,.arrow", className: "hidden", aria: { label: `Mended samples in place of dead letter ${letter.id}` } });
  const isBusy = async (work) => {
    again.disabled = mended.disabled = true;
    await work;
    again.disabled = mended.disabled = false;
  };
  again.addEventListener("click", () => isBusy(replay(letter)));
  mended.addEventListener("change", () => mended.files[0] && isBusy(replay(letter, mended.files[0])).then(() => (mended.value = "")));
  const mend = make("label", { className: "button", title: "NDJSON, JSON or Arrow, as saved here and changed" }, "Send a mended file …", mended);
  const place = make("div");
  const below = folded(look, COLUMNS.length, () => showSamples(place, letter, mend), place);
  const node = make("tr", {}, make("th", { scope: "row" }, shownTime(parseTime(letter.created), 0)), cell("Backend", letter.backend), cell("Group", letter.group),
    cell("Samples", count(letter.samples), "number"), cell("Elements", letter.elements, "why"), cell("Why", letter.reason, "why error"),
    make("td", { className: "actions" }, done, look, again));
  const update = ({ mayReplay, replayed }) => {
    again.hidden = mend.hidden = !mayReplay || replayed !== null;
    done.textContent = replayed === null ? "" : `sent again ${shownTime(parseTime(replayed), 0)} `;
  };
  return { nodes: [node, below], update };
}

/** Show the first samples of a letter, and the buttons that save and mend them. */
async function showSamples(place, letter, mend) {
  const note = make("p", { className: "note", role: "status" }, "Loading …");
  const body = make("tbody");
  const path = `/v1/dead-letters/${letter.id}/samples`;
  const save = make("button", { type: "button" }, "Save as NDJSON");
  save.addEventListener("click", () => saved(path, `dead-letter-${letter.id}.ndjson`, note));
  const heads = ["Element", "Time, UTC", "Value", "Status"].map((text) => make("th", { scope: "col" }, text));
  place.replaceChildren(scrolled(make("table", { className: "stack" }, make("thead", {}, make("tr", {}, ...heads)), body), { label: `Samples of dead letter ${letter.id}` }),
    note, make("div", { className: "buttons" }, save, mend));
  if (letter.samples > MOST_LOOKED_AT) {
    note.textContent = `These are ${count(letter.samples)} samples: too many to be shown here. Save them.`;
    return;
  }
  try {
    const { samples } = await askJson(path);
    body.replaceChildren(...(samples.length ? samples.slice(0, LOOKED_AT).map(sampleRow) : [emptyRow("It is empty.", heads.length)]));
    note.textContent = samples.length > LOOKED_AT ? `These are the first ${LOOKED_AT} of ${count(samples.length)} samples.` : "";
  } catch (error) {
    note.textContent = wordsOf(error);
    note.classList.add("error");
  }
}

function sampleRow({ element, source_time: time, value, status }) {
  const text = value === null ? "no value" : typeof value === "object" ? JSON.stringify(value) : String(value);
  return make("tr", {}, make("th", { scope: "row" }, element), cell("Time, UTC", time), cell("Value", text, "why"), cell("Status", String(status)));
}

async function saved(path, name, note) {
  note.classList.remove("error");
  try {
    const blob = await (await ask(path, { accept: TYPES.ndjson })).blob();
    download(blob, name);
    note.textContent = `Saved, ${bytes(blob.size)}. One sample a line: change what is wrong, and send the file in its place.`;
  } catch (error) {
    if (isAborted(error)) return;
    note.textContent = wordsOf(error);
    note.classList.add("error");
  }
}
