// Ask a question of the archive: elements, a range of time for each backend, and what to make of the samples. The plan is
// drawn before anything is read; the answer says who gave what, and what is missing.

import { ask, askJson, isAborted, wordsOf } from "../api.js";
import { download, emptyRow, make, repeat } from "../dom.js";
import { count, number } from "../format.js";
import { picker } from "../picker.js";
import { drawPlan } from "../plan.js";
import { endsOf, parametersOf, rangeControl, rangeOf } from "../range.js";
import { isoOf, parseTime, shownTime } from "../time.js";

export const title = "Query";

const PREVIEW_ROWS = 200;
const RETRY_MS = 3000;
const AGGREGATES = ["count", "good_count", "min", "max", "mean", "time_weighted_mean", "std", "first", "last", "integral"];
const FORMATS = { CSV: ["text/csv", "csv"], Parquet: ["application/vnd.apache.parquet", "parquet"],
  Arrow: ["application/vnd.apache.arrow.stream", "arrow"], NDJSON: ["application/x-ndjson", "ndjson"] };

/** Show it; the returned function lets go of it. */
export function mount(root, parameters, navigate) {
  const state = {
    elements: parameters.getAll("e"),
    range: rangeOf(parameters, 3600),
    asking: new AbortController(),
    backends: [],
  };
  let isOffered = false;
  const form = formOf(parameters);
  const names = make("ul", { className: "chips", aria: { label: "Elements asked for" } });
  const found = picker((chosen) => change(() => state.elements.push(...chosen.filter((name) => !state.elements.includes(name)))));
  const range = rangeControl(state.range, (next) => change(() => (state.range = next)));
  const plan = make("div", { id: "plan", className: "plan", aria: { live: "polite" } });
  const result = make("section", { className: "card", id: "result", aria: { labelledby: "result-title" }, hidden: true });
  const note = make("p", { className: "note", role: "status", id: "query-note" });

  const showNames = () => {
    const items = state.elements.map((name) => {
      const remove = make("button", { type: "button", title: `Leave out ${name}`, aria: { label: `Leave out ${name}` } }, "×");
      remove.addEventListener("click", () => change(() => (state.elements = state.elements.filter((other) => other !== name))));
      return make("li", {}, name, remove);
    });
    names.replaceChildren(...(items.length ? items : [make("li", { className: "muted" }, "No element is chosen yet.")]));
  };
  const remember = () => {
    const asked = [...state.elements.map((name) => ["e", name]), ...Object.entries(parametersOf(state.range)), ...form.entries()];
    navigate("query", asked, { replace: true });
  };
  const change = (work) => {
    work?.();
    showNames();
    if (!isOffered) return;
    remember();
    refreshPlan();
  };
  const question = () => {
    const [start, end] = endsOf(state.range);
    return { elements: state.elements, start: isoOf(start), end: isoOf(end), ...form.question(start, end) };
  };
  const begin = () => {
    state.asking.abort();
    state.asking = new AbortController();
    return state.asking.signal;
  };
  const refreshPlan = async () => {
    if (!state.elements.length) {
      plan.replaceChildren();
      return tell("Choose an element: what would be read is drawn here.");
    }
    const signal = begin();
    try {
      const told = await askJson("/v1/query?plan=true", { json: question(), signal });
      drawPlan(plan, told);
      tell(wordsOfPlan(told));
    } catch (error) {
      if (isAborted(error)) return;
      plan.replaceChildren();
      tell(wordsOf(error), true);
    }
  };
  const run = async () => {
    const signal = begin();
    tell("Reading …");
    try {
      const answer = await askJson("/v1/query", { json: { ...question(), limit: form.isBounded() ? undefined : PREVIEW_ROWS }, signal });
      showAnswer(result, answer);
      tell("");
    } catch (error) {
      if (!isAborted(error)) tell(wordsOf(error), true);
    }
  };
  const save = async (format) => {
    const [accept, ending] = FORMATS[format];
    const signal = begin();
    tell(`Reading everything as ${format} …`);
    try {
      const answer = await ask("/v1/query", { json: question(), accept, signal });
      download(await answer.blob(), `forebay-${isoOf(endsOf(state.range)[0]).replaceAll(":", "")}.${ending}`);
      tell("");
    } catch (error) {
      if (!isAborted(error)) tell(wordsOf(error), true);
    }
  };
  const tell = (text, wrong = false) => {
    note.textContent = text;
    note.classList.toggle("error", wrong);
  };

  form.node.addEventListener("change", () => change());
  const buttons = make("div", { className: "buttons" },
    button("Show the first rows", run, "run"),
    ...Object.keys(FORMATS).map((format) => button(format, () => save(format))),
  );
  for (const node of buttons.children) node.disabled = true;
  root.append(
    make("section", { className: "card query", aria: { labelledby: "question-title" } },
      make("h2", { id: "question-title", className: "hidden" }, "Question"),
      found.node, names, range.node, form.node, plan, note, buttons),
    result,
  );
  // until it is known which backends there are, the form does not say what the address says: nothing is asked or remembered
  const offering = repeat(async (signal) => {
    const { backends } = await askJson("/v1/backends", { signal });
    form.offer(backends.filter(({ readable }) => readable !== false).map(({ name }) => name));
  }, RETRY_MS, (error) => {
    if (error) return tell(wordsOf(error), true);
    offering.stop();
    for (const node of buttons.children) node.disabled = false;
    isOffered = true;
    return change();
  });
  return () => {
    offering.stop();
    state.asking.abort();
    range.close();
  };
}

function button(text, work, id = "") {
  const node = make("button", { type: "button", id }, text);
  node.addEventListener("click", work);
  return node;
}

function labelled(text, node) {
  return make("label", { className: "field" }, make("span", { className: "muted" }, text), node);
}

/** The fields beside elements and range: who answers, aggregates, condition, side by side. */
function formOf(parameters) {
  const who = make("select", { name: "who" });
  const ranges = make("div", { className: "ranges", role: "group", aria: { label: "Range of time of each backend" } });
  const aggregates = make("select", { name: "aggregates", multiple: true, size: 4 },
    ...AGGREGATES.map((name) => make("option", { selected: parameters.getAll("a").includes(name) }, name)));
  const bucket = input("bucket", "1h", parameters.get("bucket"));
  const where = input("where", "PUMP1:STATE = 'ON'", parameters.get("where"));
  const wide = make("select", { name: "wide" }, ...[["", "one after the other"], ["last", "side by side: last known"],
    ["nearest", "side by side: nearest"], ["linear", "side by side: interpolated"]].map(([value, text]) =>
    make("option", { value, selected: parameters.get("wide") === value }, text)));
  const step = input("step", "1s", parameters.get("step"));
  const complete = make("input", { type: "checkbox", name: "complete", checked: parameters.has("complete") });
  let backends = [];

  const fields = () => [...ranges.querySelectorAll("input")];
  const spans = () => backends.map((name, index) => [name, fields()[2 * index].value, fields()[2 * index + 1].value])
    .filter(([, from]) => from);
  const offer = (names) => {
    backends = names;
    const asked = parameters.get("who") ?? "";
    const options = [["", "the archive picks"], ...names.map((name) => [name, `only ${name}`])];
    if (names.length > 1) options.push(["ranges", "each its own range of time"]);
    who.replaceChildren(...options.map(([value, text]) => make("option", { value, selected: value === asked }, text)));
    const given = new Map(parameters.getAll("r").map((text) => [text.split("=")[0], text.split("=")[1]?.split("/") ?? []]));
    ranges.replaceChildren(...names.map((name) => {
      const [from = "", to = ""] = given.get(name) ?? [];
      return make("div", { className: "span" }, make("span", { className: "name" }, name),
        input(`from-${name}`, "from: 2026-01-01T00:00:00Z", from, `${name} from`), input(`to-${name}`, "to: now", to, `${name} to`));
    }));
    ranges.hidden = who.value !== "ranges";
  };
  who.addEventListener("change", () => (ranges.hidden = who.value !== "ranges"));
  const chosen = () => [...aggregates.selectedOptions].map((option) => option.value);
  const node = make("details", { className: "more", open: parameters.size > 3 }, make("summary", {}, "Who answers, and what to make of it"),
    make("div", { className: "fields" },
      labelled("Who answers", who), labelled("Aggregates", aggregates), labelled("Bucket", bucket), labelled("Only where", where),
      labelled("Elements", wide), labelled("A row each", step), make("label", { className: "check" }, complete, " an error rather than a partial answer")),
    ranges);
  return {
    node,
    offer,
    isBounded: () => chosen().length > 0 && !bucket.value,
    entries: () => [["who", who.value], ...(who.value === "ranges" ? spans().map(([name, from, to]) => ["r", `${name}=${from}/${to}`]) : []),
      ...chosen().map((name) => ["a", name]), ["bucket", bucket.value], ["where", where.value], ["wide", wide.value], ["step", step.value],
      ["complete", complete.checked ? "1" : ""]].filter(([, value]) => value),
    question: () => ({
      ...(who.value === "ranges" ? { ranges: spans().map(([backend, from, to]) => ({ backend, from, to: to || "now" })), start: "", end: "now" } : {}),
      ...(who.value && who.value !== "ranges" ? { backend: who.value } : {}),
      ...(chosen().length ? { aggregates: chosen(), bucket: bucket.value } : {}),
      ...(where.value ? { where: where.value } : {}),
      ...(wide.value ? { wide: wide.value, step: step.value } : {}),
      ...(complete.checked ? { require: "complete" } : {}),
    }),
  };
}

function input(name, placeholder, value, label = "") {
  return make("input", { name, placeholder, value: value ?? "", spellcheck: false, autocomplete: "off", ...(label ? { aria: { label } } : {}) });
}

function wordsOfPlan({ steps, rows, seconds, missing }) {
  const much = rows === null ? "" : ` About ${count(rows)} rows${seconds === null ? "" : `, ${seconds < 0.1 ? "at once" : `${number(Number(seconds.toPrecision(2)))} s`}`}.`;
  const gaps = missing.length ? ` ${missing.length} ${missing.length === 1 ? "part is" : "parts are"} missing.` : "";
  return steps.length ? `${steps[0].backend} answers${steps.length > 1 ? ", and others" : ""}.${much}${gaps}` : `Nobody has any of it.${gaps}`;
}

/** Show the rows, and what is said of the whole answer. */
function showAnswer(section, answer) {
  const rows = answer.samples ?? answer.rows ?? answer.buckets ?? [];
  const columns = rows.length ? Object.keys(rows[0]) : [];
  const head = make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)));
  const body = rows.map((row) => make("tr", {}, ...columns.map((name) => make("td", { data: { label: name } }, textOf(row[name])))));
  const parts = (answer.parts ?? []).map((part) =>
    make("li", {}, `${part.backend}: ${count(part.rows)} rows in ${number(Number(part.seconds.toPrecision(2)))} s, ${part.role}${part.trouble ? `: ${part.trouble}` : ""}`));
  const missing = (answer.missing ?? []).map((gap) =>
    make("li", { className: "error" }, `${gap.backend ? `${gap.backend}: ` : ""}${(gap.elements ?? []).join(", ") || "all elements"}, ${gap.start} to ${gap.end}: ${gap.reason}`));
  section.replaceChildren(
    make("h2", { id: "result-title" }, answer.complete ? "Answer" : "Partial answer"),
    make("ul", { className: "reasons", id: "outcome" }, ...missing, ...parts,
      answer.cursor && make("li", {}, `These are the first ${count(rows.length)} rows; the buttons above fetch all of them.`)),
    make("div", { className: "scroll", tabIndex: 0, role: "region", aria: { labelledby: "result-title" } },
      make("table", { className: "stack" }, make("thead", {}, head),
        make("tbody", { id: "rows" }, ...(body.length ? body : [emptyRow("No sample in this range.", 1)])))),
  );
  section.hidden = false;
}

function textOf(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") {
    const time = parseTime(value);
    return time === null ? value : shownTime(time, 9);
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
