// Why is this sample missing? What the archive knows of an element in a range of time, in sentences and counts.

import { askJson, isAborted, wordsOf } from "../api.js";
import { cell, emptyRow, make } from "../dom.js";
import { count } from "../format.js";
import { picker } from "../picker.js";
import { endsOf, parametersOf, rangeControl, rangeOf } from "../range.js";
import { isoOf, parseTime, shownTime } from "../time.js";

export const title = "Explain";

/** Show it; the returned function lets go of it. */
export function mount(root, parameters, navigate) {
  let element = parameters.get("e") ?? "";
  let range = rangeOf(parameters, 3600);
  let asking = new AbortController();
  const sentences = make("ul", { className: "sentences", id: "sentences", aria: { live: "polite" } });
  const body = make("tbody", { id: "findings" });
  const counts = make("section", { className: "card", hidden: true, aria: { labelledby: "findings-title" } },
    make("h2", { id: "findings-title" }, "What became of them"),
    make("div", { className: "scroll", tabIndex: 0, role: "region", aria: { labelledby: "findings-title" } },
      make("table", { className: "stack" },
        make("thead", {}, make("tr", {}, ...["Where", "Group", "Outcome", "Why"].map((text) => make("th", { scope: "col" }, text)),
          make("th", { scope: "col", className: "number" }, "Samples"), make("th", { scope: "col" }, "First"), make("th", { scope: "col" }, "Last"))),
        body)));
  const refresh = async () => {
    asking.abort();
    navigate("explain", { ...(element ? { e: element } : {}), ...parametersOf(range) }, { replace: true });
    if (!element) {
      sentences.replaceChildren(make("li", { className: "muted" }, "Choose an element and the time in which a sample is missing."));
      return;
    }
    asking = new AbortController();
    if (!sentences.children.length) sentences.replaceChildren(make("li", { className: "muted" }, "Looking …"));
    const [start, end] = endsOf(range);
    const query = new URLSearchParams({ element, start: isoOf(start), end: isoOf(end) });
    try {
      const told = await askJson(`/v1/explain?${query}`, { signal: asking.signal });
      sentences.replaceChildren(...told.sentences.map((text) => make("li", {}, text)));
      body.replaceChildren(...(told.findings.length ? joined(told.findings).map(rowOf) : [emptyRow("The ledger has nothing of it in this time.", 7)]));
      counts.hidden = false;
    } catch (error) {
      if (isAborted(error)) return;
      sentences.replaceChildren(make("li", { className: "error" }, wordsOf(error)));
      counts.hidden = true;
    }
  };
  const found = picker(([name]) => {
    element = name;
    refresh();
  }, { clear: false, value: element });
  const control = rangeControl(range, (next) => {
    range = next;
    refresh();
  });
  root.append(
    make("section", { className: "card query", aria: { labelledby: "explain-title" } },
      make("h2", { id: "explain-title" }, "Why is this sample missing?"), found.node, control.node, sentences),
    counts,
  );
  refresh();
  return () => {
    asking.abort();
    control.close();
  };
}

/** Findings that differ in nothing but their time are one. */
function joined(findings) {
  const found = new Map();
  for (const finding of findings) {
    const key = JSON.stringify([finding.lane, finding.group, finding.outcome, finding.reason]);
    const before = found.get(key);
    if (!before) found.set(key, { ...finding });
    else {
      before.count += finding.count;
      if (finding.first < before.first) before.first = finding.first;
      if (finding.last > before.last) before.last = finding.last;
    }
  }
  return [...found.values()];
}

function rowOf({ lane, group, outcome, reason, count: samples, first, last }) {
  const time = (text) => shownTime(parseTime(text), 3);
  return make("tr", {}, make("th", { scope: "row" }, lane), cell("Group", group || "–"), cell("Outcome", outcome, `outcome-${outcome}`),
    cell("Why", reason || "–", "error-text"), cell("Samples", count(samples), "number"), cell("First", time(first)), cell("Last", time(last)));
}
