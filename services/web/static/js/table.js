// Tables in cards: a heading, words, rows; rows that stay the same nodes while what they show changes.

import { emptyRow, make } from "./dom.js";

/** A card with a table: its nodes, and `tell(text, wrong)` for the line below. `columns` are texts, those in `numbers` are put right. */
export function table(name, id, { words = "", columns = [], numbers = new Set() } = {}) {
  const head = make("tr", {}, ...columns.map((text) => heading(text, numbers.has(text))));
  const body = make("tbody", { id }, emptyRow("Loading …", columns.length || 1));
  const note = make("p", { className: "note", role: "alert", id: `${id}-note` });
  const title = make("h2", { id: `${id}-title` }, name);
  const scroll = scrolled(make("table", { className: "stack" }, make("thead", {}, head), body), { labelledby: `${id}-title` });
  const section = make("section", { className: "card", aria: { labelledby: `${id}-title` } }, title, words && make("p", { className: "muted" }, words), scroll, note);
  const tell = (text, wrong = false) => {
    if (note.textContent !== text) note.textContent = text;
    note.classList.toggle("error", wrong);
  };
  return { section, title, scroll, head, body, tell };
}

/** What is wider than the screen scrolls by itself, by keyboard too. */
export function scrolled(node, aria) {
  return make("div", { className: "scroll", tabIndex: 0, role: "region", aria }, node);
}

/** A row below another one that `button` opens and shuts; `opened()` is called when it was opened. */
export function folded(button, columns, opened, ...children) {
  const below = make("tr", { className: "below", hidden: true }, make("td", { colSpan: columns }, ...children));
  const fold = (isShut) => {
    below.hidden = isShut;
    button.textContent = isShut ? "Look" : "Hide";
    button.setAttribute("aria-expanded", String(!isShut));
  };
  fold(true);
  button.addEventListener("click", () => {
    fold(!below.hidden);
    if (!below.hidden) opened();
  });
  return below;
}

/** The heading of a column. */
export function heading(text, isNumber = false) {
  return make("th", { scope: "col", className: isNumber ? "number" : "" }, text);
}

/**
 * Rows by key in a table's body: `make(item)` gives `{nodes, update}`, once for each key, and `update(item)` is called
 * whenever it is shown. What has the focus, is open or half written stays so.
 */
export class Rows {
  constructor(body, makeRow, columns) {
    Object.assign(this, { body, makeRow, columns, rows: new Map() });
  }

  /** Show items, `[key, item]` each, and `none` in words when there are none. */
  show(items, none) {
    const shown = new Map(items.map(([key, item]) => [key, this.rows.get(key) ?? this.makeRow(item)]));
    for (const [key, item] of items) shown.get(key).update(item);
    this.rows = shown;
    this.place(items.length ? [...shown.values()].flatMap(({ nodes }) => nodes) : [emptyRow(none, this.columns)]);
  }

  /** Put nodes in order, and move only those that are not: a node that is moved loses the focus, and is given it back. */
  place(nodes) {
    const wanted = new Set(nodes);
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    for (const node of [...this.body.children]) if (!wanted.has(node)) node.remove();
    nodes.forEach((node, index) => {
      if (this.body.children[index] !== node) this.body.insertBefore(node, this.body.children[index] ?? null);
    });
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }
}
