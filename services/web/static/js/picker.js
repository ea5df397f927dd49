// A field that finds elements by a part of their name or description: an ARIA combobox.

import { askJson, isAborted, wordsOf } from "./api.js";
import { make } from "./dom.js";
import { count } from "./format.js";

const MATCHES = 50;
const PATTERN_MATCHES = 20;
let made = 0;

/**
 * Make it. `chosen(names)` is told what was chosen: one element, or those of a glob (`BAR:*`, at most 20).
 * Options: `label`, `id` of the field, `clear` (empty it after a choice; true), `value`.
 */
export function picker(chosen, { label = "Element", id = `picker-${++made}`, clear = true, value = "" } = {}) {
  const list = make("ul", { id: `${id}-matches`, className: "matches", role: "listbox", hidden: true, aria: { label: "Elements" } });
  const input = make("input", {
    id,
    type: "text",
    value,
    role: "combobox",
    autocomplete: "off",
    spellcheck: false,
    placeholder: "Type a part of its name, or a pattern: PUMP*",
    aria: { autocomplete: "list", expanded: "false", controls: list.id },
  });
  const node = make("div", { className: "picker" }, make("label", {}, make("span", { className: "muted" }, label), input), list);
  const state = { choices: [], active: -1, asking: null, isStale: false, isTaken: false };

  const close = () => {
    state.asking?.abort();
    state.isStale = state.isTaken = false;
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const activate = (index) => {
    state.active = index;
    for (const [number, item] of [...list.querySelectorAll("[role=option]")].entries()) {
      item.setAttribute("aria-selected", String(number === index));
      if (number === index) item.scrollIntoView({ block: "nearest" });
    }
    if (index < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", `${id}-match-${index}`);
  };
  const choose = (index) => {
    const names = state.choices[index];
    if (!names) return;
    close();
    input.value = clear ? "" : names.length === 1 ? names[0] : input.value;
    chosen(names);
  };
  const open = (items, choices) => {
    state.choices = choices;
    list.replaceChildren(...items);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    activate(choices.length ? 0 : -1);
    state.isStale = false;
    if (state.isTaken) choose(0);
    state.isTaken = false;
  };
  const show = ({ elements, total }, glob) => {
    const choices = elements.map(({ element }) => [element]);
    const rows = elements.map(({ element, unit, description }) => [element, [unit, description].filter(Boolean).join(" · ")]);
    if (glob && elements.length > 1) {
      choices.unshift(choices.slice(0, PATTERN_MATCHES).flat());
      const some = total > PATTERN_MATCHES ? `the first ${PATTERN_MATCHES} of ${count(total)}` : `all ${count(total)}`;
      rows.unshift([glob, `${some} that match`]);
    }
    const items = rows.map(([name, more], index) => {
      const item = make("li", { id: `${id}-match-${index}`, role: "option" }, name, more && make("span", { className: "muted" }, more));
      item.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        choose(index);
      });
      return item;
    });
    if (!total) items.push(make("li", { className: "more" }, "No element has this in its name or description."));
    if (total > elements.length) items.push(make("li", { className: "more" }, `and ${count(total - elements.length)} more: type on`));
    open(items, choices);
  };
  const find = async () => {
    state.asking?.abort();
    state.asking = new AbortController();
    [state.isStale, state.isTaken] = [true, false]; // what is listed is of another text
    const text = input.value.trim();
    const glob = /[*?[]/.test(text) ? text : "";
    const query = new URLSearchParams({ [glob ? "pattern" : "search"]: text, limit: MATCHES });
    try {
      show(await askJson(`/v1/elements?${query}`, { signal: state.asking.signal }), glob);
    } catch (error) {
      if (!isAborted(error)) open([make("li", { className: "more error" }, wordsOf(error))], []);
    }
  };
  const onKey = (event) => {
    const total = state.choices.length;
    if (event.key === "Escape") close();
    else if (event.key === "Enter") {
      event.preventDefault();
      if (state.isStale) state.isTaken = true; // the first of what is about to come
      else if (!list.hidden && state.active >= 0) choose(state.active);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) find();
      else if (total) activate((state.active + (event.key === "ArrowDown" ? 1 : total - 1)) % total);
    }
  };
  input.addEventListener("input", find);
  input.addEventListener("click", find);
  input.addEventListener("keydown", onKey);
  input.addEventListener("blur", close);
  return { node, input };
}
