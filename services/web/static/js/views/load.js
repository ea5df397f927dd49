// Load a recorded file: drop it here, see what it holds, say which column is what, and see what became of each row.

import { ask, askJson, isAborted, wordsOf } from "../api.js";
import { cell, emptyRow, make } from "../dom.js";
import { bytes, count } from "../format.js";
import { follow, progressOf, wordsOfEnd } from "../jobs.js";
import { shownTime } from "../time.js";

export const title = "Load";

const ROLES = [["time", "time"], ["element", "part of the name"], ["value", "value"], ["other", "not loaded"]];
const UNITS = [["", "a time as text"], ["1s", "seconds since 1970"], ["1ms", "ms since 1970"], ["1us", "µs since 1970"], ["1ns", "ns since 1970"]];
const KINDS = ["auto", "float", "int", "uint", "bool", "text"];
const OUTCOMES = ["stored", "buffered", "smoothed", "duplicate", "rejected", "dead-lettered", "dropped"];

/** Show it; the returned function lets go of it. */
export function mount(root) {
  let current = new AbortController(); // of the file that is looked at
  const file = make("input", { type: "file", id: "file", accept: ".csv,.txt,.tsv,.gz,.parquet,.pq" });
  const zone = make("label", { className: "drop", id: "drop" }, make("strong", {}, "Drop a file here"),
    make("span", { className: "muted" }, "or choose one: CSV (also .gz), tab-separated text, or Parquet. Nothing is stored before you say so."), file);
  const note = make("p", { className: "note", role: "status", id: "load-note" });
  const mapping = make("div", { id: "mapping" });
  const result = make("div", { id: "load-result" });
  const tell = (text, wrong = false) => {
    note.textContent = text;
    note.classList.toggle("error", wrong);
  };
  const take = async (chosen) => {
    if (!chosen) return;
    current.abort();
    current = new AbortController();
    const { signal } = current;
    mapping.replaceChildren();
    result.replaceChildren();
    tell(`Sending ${chosen.name}, ${bytes(chosen.size)} …`);
    try {
      const found = await askJson(`/v1/files?${new URLSearchParams({ name: chosen.name })}`, { body: chosen, headers: { "Content-Type": "application/octet-stream" }, signal });
      tell(found.options ? "Check which column is what; the first samples are shown as they would be archived." : "No column looks like a time: say which one is.");
      mapping.replaceChildren(mappingOf(found, { tell, signal, done: (job) => watch(job, result, tell, signal) }));
    } catch (error) {
      if (!isAborted(error)) tell(wordsOf(error), true);
    }
  };
  file.addEventListener("change", () => take(file.files[0]));
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  root.append(make("section", { className: "card query", aria: { labelledby: "load-title" } },
    make("h2", { id: "load-title" }, "Load a recorded file"), zone, note, mapping, result));
  return () => current.abort();
}

function select(name, options, chosen, label) {
  return make("select", { name, aria: { label } }, ...options.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
}

/** The mapping of a file: a role for each column, the name's template, a preview, and the button that loads. */
function mappingOf(found, { tell, signal, done }) {
  const roles = found.columns.map(({ name, role }) => select("role", ROLES, role, `What ${name} is`));
  const unit = select("unit", UNITS, found.options?.time_unit ?? "", "How times are written");
  const kind = select("kind", KINDS.map((text) => [text, text === "auto" ? "as they look" : text]), "auto", "Kind of the values");
  const element = make("input", { name: "element", value: found.options?.element ?? `${found.name.split(".")[0]}.{column}`, spellcheck: false });
  const samples = make("tbody", { id: "samples" }, emptyRow("Looking …", 3));
  const refused = make("ul", { className: "reasons", id: "refused" });
  const load = make("button", { type: "button", id: "load", disabled: true }, "Load it");

  const asked = () => {
    const of = (role) => found.columns.filter((_, index) => roles[index].value === role).map(({ name }) => name);
    return { element: element.value, time: of("time"), value: of("value"), kind: kind.value, ...(unit.value ? { time_unit: unit.value } : {}) };
  };
  const rename = () => { // the template follows the roles until somebody writes one
    const names = found.columns.filter((_, index) => roles[index].value === "element").map(({ name }) => `{${name}}`);
    const several = asked().value.length > 1;
    const stem = found.name.split(".")[0];
    element.value = names.length ? names.join(".") + (several ? ".{column}" : "") : several ? `${stem}.{column}` : stem;
  };
  let isLoading = false;
  let looking = new AbortController();
  const preview = async () => {
    looking.abort();
    looking = new AbortController();
    try {
      const told = await askJson(`/v1/files/${found.id}/preview`, { json: asked(), signal: AbortSignal.any([looking.signal, signal]) });
      samples.replaceChildren(...(told.samples.length ? told.samples.map(sampleRow) : [emptyRow("No row would become a sample.", 3)]));
      refused.replaceChildren(...told.refused.map(({ line, reason }) => make("li", { className: "error" }, `line ${line}: ${reason}`)));
      load.disabled = isLoading || !told.samples.length;
    } catch (error) {
      if (isAborted(error)) return;
      samples.replaceChildren(make("tr", {}, make("td", { colSpan: 3, className: "error" }, wordsOf(error))));
      refused.replaceChildren();
      load.disabled = true;
    }
  };
  for (const node of roles) {
    node.addEventListener("change", () => {
      rename();
      preview();
    });
  }
  for (const node of [unit, kind, element]) node.addEventListener("change", preview);
  load.addEventListener("click", async () => {
    load.disabled = isLoading = true;
    try {
      const job = await askJson(`/v1/files/${found.id}/load`, { json: asked() });
      await done(job);
    } catch (error) {
      if (!isAborted(error)) tell(wordsOf(error), true);
    }
    load.disabled = isLoading = false;
  });
  preview();
  const head = make("tr", {}, ...found.columns.map(({ name }, index) => make("th", { scope: "col" }, name, make("br"), roles[index])));
  const rows = found.rows.slice(0, 5).map((row) => make("tr", {}, ...row.map((text) => make("td", {}, text ?? "–"))));
  return make("div", { className: "mapping" },
    make("h3", {}, `${found.name}: the first rows`),
    make("div", { className: "scroll", tabIndex: 0, role: "region", aria: { label: "The first rows of the file" } },
      make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))),
    make("div", { className: "fields" },
      make("label", { className: "field" }, make("span", { className: "muted" }, "Name of the elements"), element),
      make("label", { className: "field" }, make("span", { className: "muted" }, "Times are"), unit),
      make("label", { className: "field" }, make("span", { className: "muted" }, "Values are"), kind)),
    make("h3", {}, "As they would be archived"),
    make("div", { className: "scroll", tabIndex: 0, role: "region", aria: { label: "The first samples" } },
      make("table", { className: "stack" }, make("thead", {}, make("tr", {}, ...["Element", "Time", "Value"].map((text) => make("th", { scope: "col" }, text)))), samples)),
    refused, make("div", { className: "buttons" }, load));
}

function sampleRow({ element, source_time: time, value }) {
  return make("tr", {}, make("th", { scope: "row" }, element), cell("Time", shownTime(BigInt(time), 9)), cell("Value", String(value)));
}

/** Follow a job until it has ended, and show what became of each row. */
async function watch(job, node, tell, signal) {
  signal.throwIfAborted();
  const ended = await follow(job, (now, trouble) => {
    node.replaceChildren(progressOf(now, "Loading"));
    if (trouble) tell(trouble, true);
  }, signal);
  if (ended.state !== "done") {
    node.replaceChildren();
    tell(wordsOfEnd(ended), true);
    return;
  }
  const { counts, reasons, refused } = await (await ask(ended.result, { signal })).json();
  const all = OUTCOMES.filter((outcome) => counts[outcome]);
  tell(`Loaded: ${all.map((outcome) => `${count(counts[outcome])} ${outcome}`).join(", ") || "nothing"}.`);
  node.replaceChildren(
    make("h3", {}, "What became of each row"),
    make("ul", { className: "reasons", id: "loaded" },
      ...all.map((outcome) => make("li", {}, `${count(counts[outcome])} ${outcome === "buffered" ? "durable, on their way to the backends" : outcome}`)),
      ...Object.entries(reasons).map(([reason, number]) => make("li", {}, `${count(number)}: ${reason}`)),
      ...refused.map(({ line, reason }) => make("li", { className: "error" }, `line ${line}: ${reason}`))),
  );
}
