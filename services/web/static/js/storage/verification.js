// Verification: whether two backends hold the same, in words; done as a job, which goes on when this view is left.

import { ask, askJson, isAborted, wordsOf } from "../api.js";
import { confirmed } from "../asking.js";
import { make } from "../dom.js";
import { follow, isOpen, progressOf, wordsOfEnd } from "../jobs.js";
import { isoOf, ofField, zoneName } from "../time.js";
import { reportOf } from "./report.js";

const LATER = { Prefer: "respond-async" };
const RETRY_MS = 5000;

/** The part of the page. `remembered` is the id of a job to show, `remember(id)` keeps another one. Returns `{section, stop}`. */
export function verification(askedCaller, remembered, remember) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const note = make("p", { className: "note", role: "alert", id: "verification-note" }, "Loading …");
  const result = make("div", { id: "report", className: "report", aria: { live: "polite" } });
  const form = formOf(() => begin(form.question()));
  const section = make("section", { className: "card verification", aria: { labelledby: "verification-title" } }, make("h2", { id: "verification-title" }, "Verification"),
    make("p", { className: "muted" }, "Whether two backends hold the same: every sample of both is read and compared, of all of time unless you say of which."), form.node, note, result);
  let shown = new AbortController(); // of the job that is shown
  let mayRepair = false;
  const tell = (text, wrong = false) => {
    note.textContent = text;
    note.classList.toggle("error", wrong);
  };
  const begin = async (question) => {
    tell("");
    form.disable(true);
    try {
      show(await askJson("/v1/verify", { json: question, headers: LATER }));
    } catch (error) {
      tell(wordsOf(error), true);
    }
    form.disable(false);
  };
  const repair = async (job, report, target, source) => {
    const lines = [`What ${target} lacks is copied from ${source}; where both have another content, that of ${source} becomes valid, and the other stays as a version.`,
      "Nothing is deleted: what only it has, stays. Then what differed is compared once more."];
    if (await confirmed(`Fill ${target} from ${source}?`, lines, `Fill ${target}`, signal)) begin({ ...questionOf(job, report), repair: target });
  };
  const show = async (job) => {
    shown.abort();
    shown = new AbortController();
    const mine = AbortSignal.any([shown.signal, signal]);
    if (signal.aborted) return;
    remember(job.id);
    const cancel = make("button", { type: "button", id: "cancel-verification" }, "Cancel");
    cancel.addEventListener("click", () => ask(`/v1/jobs/${job.id}`, { method: "DELETE" }).catch((error) => tell(wordsOf(error), true)));
    const actions = make("div", { className: "buttons" }, cancel);
    const place = make("div", {}, "");
    result.replaceChildren(place, actions);
    try {
      const ended = await follow(job, (now, trouble) => {
        place.replaceChildren(make("p", {}, wordsOfQuestion(now)), progressOf(now, "Verification"));
        tell(trouble, true);
      }, mine);
      actions.remove();
      if (ended.state !== "done") {
        place.replaceChildren(make("p", {}, wordsOfQuestion(ended)));
        return tell(wordsOfEnd(ended), ended.state !== "cancelled");
      }
      const report = await askJson(ended.result, { signal: mine });
      tell("");
      place.replaceChildren(...reportOf(ended, report, mayRepair ? (target, source) => repair(ended, report, target, source) : null));
    } catch (error) {
      if (isAborted(error)) return undefined;
      result.replaceChildren();
      tell(wordsOf(error), true);
    }
    return undefined;
  };
  const start = async () => {
    try {
      const [{ backends }, caller, job] = await Promise.all([askJson("/v1/backends", { signal }), askedCaller(signal), askJob(remembered, signal)]);
      mayRepair = caller.may("operate");
      tell(form.offer(backends.map(({ name }) => name), mayRepair));
      if (job) show(job);
    } catch (error) {
      if (isAborted(error)) return;
      tell(wordsOf(error), true);
      setTimeout(() => signal.aborted || start(), RETRY_MS);
    }
  };
  start();
  return { section, stop: () => leaving.abort() };
}

/** The job that an address names, or the caller's last verification; null when there is none. */
async function askJob(id, signal) {
  const { jobs } = await askJson("/v1/jobs", { signal });
  const all = jobs.filter(({ request }) => request.do === "verify");
  return all.find((job) => job.id === id) ?? all.find(isOpen) ?? all.at(-1) ?? null;
}

/** What a job was asked, to be asked again: the same time, also when that was told from now. */
function questionOf({ request }, { backends, start, end }) {
  const { elements, versions } = request;
  return { backends, start, end, ...(elements ? { elements } : {}), ...(versions ? { versions } : {}) };
}

function wordsOfQuestion({ request: { backends, elements, start, end, repair } }) {
  const what = elements ? elements.join(", ") : "everything";
  const when = [start && `from ${start}`, end && `to ${end}`].filter(Boolean).join(" ");
  const other = backends.find((name) => name !== repair);
  return repair ? `Filling ${repair} from ${other} and comparing them, ${what} ${when}` : `Comparing ${backends.join(" and ")}, ${what} ${when}`;
}

/** Which two backends, of what time and elements. */
function formOf(submitted) {
  const select = (name, label) => make("select", { name, aria: { label } });
  const [one, other] = [select("one", "The one backend"), select("other", "The other backend")];
  const moment = (name, text) => make("input", { type: "datetime-local", step: "1", name, aria: { label: text } });
  const [from, to] = [moment("from", "From"), moment("to", "To")];
  const elements = make("input", { name: "elements", placeholder: "all; or a name or pattern: PUMP*", spellcheck: false, autocomplete: "off" });
  const button = make("button", { type: "submit", id: "compare", disabled: true }, "Compare");
  const field = (text, node) => make("label", { className: "field" }, make("span", { className: "muted" }, text), node);
  const zoned = (text) => `${text}, ${zoneName()}`;
  const node = make("form", { className: "fields" }, field("One", one), field("Other", other), field(zoned("From"), from), field(zoned("To"), to), field("Elements", elements),
    make("div", { className: "buttons" }, button));
  let mayAsk = false;
  const check = () => {
    button.disabled = !mayAsk || one.value === other.value;
    other.setCustomValidity(one.value === other.value ? "Choose two backends." : "");
  };
  one.addEventListener("change", check);
  other.addEventListener("change", check);
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    submitted();
  });
  return {
    node,
    /** Offer these backends; return in words why there is nothing to compare. */
    offer(names, mayOperate) {
      mayAsk = mayOperate && names.length > 1;
      for (const [index, list] of [one, other].entries()) list.replaceChildren(...names.map((name, place) => make("option", { selected: place === index }, name)));
      node.hidden = !mayAsk;
      check();
      return mayAsk ? "" : names.length < 2 ? "There is only one backend: nothing to compare it with." : "Comparing reads everything: it needs the role operate.";
    },
    disable(isBusy) {
      if (isBusy) button.disabled = true;
      else check();
    },
    question() {
      const [start, end] = [ofField(from.value), ofField(to.value)];
      const chosen = elements.value.trim();
      return { backends: [one.value, other.value], ...(start === null ? {} : { start: isoOf(start) }), ...(end === null ? {} : { end: isoOf(end) }), ...(chosen ? { elements: [chosen] } : {}) };
    },
  };
}
