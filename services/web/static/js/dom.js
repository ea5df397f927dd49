// Nodes: made from data, so that every text goes through textContent.

/**
 * Make a node. Properties are set as they are (`className`, `onclick`, …); `data` sets data-attributes, `aria` those
 * of ARIA, `attributes` any other. Children are nodes or texts; null and false are left out.
 */
export function make(tag, properties = {}, ...children) {
  const { data = {}, aria = {}, attributes = {}, ...rest } = properties;
  const node = Object.assign(document.createElement(tag), rest);
  Object.assign(node.dataset, data);
  for (const [name, value] of Object.entries(aria)) node.setAttribute(`aria-${name}`, value);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat().filter((child) => child !== null && child !== false && child !== undefined));
  return node;
}

/** Make a node of a drawing. */
export function svgNode(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A cell of a table that carries its heading along: on a narrow screen rows are stacked. */
export function cell(label, text, className = "") {
  return make("td", { className, data: { label } }, text);
}

/** A row that says in words why there are none. */
export function emptyRow(text, columns) {
  return make("tr", {}, make("td", { className: "muted", colSpan: columns }, text));
}

/**
 * Call `work(signal)` now, and again some while after it has ended; `told(error)` is called after each, with null when it
 * went well. `now()` begins at once: what was under way is given up, so that no older answer comes after a newer one.
 * `stop()` ends it, and nothing is called any more.
 */
export function repeat(work, everyMs, told = () => {}) {
  let timer = 0;
  let isStopped = false;
  let current = new AbortController();
  const now = async () => {
    if (isStopped) return; // what somebody waited for may come after the view was left
    clearTimeout(timer);
    current.abort();
    const { signal } = (current = new AbortController());
    if (!document.hidden) {
      const error = await Promise.resolve(work(signal)).then(() => null, (reason) => reason);
      if (signal.aborted) return;
      told(error);
      if (signal.aborted) return;
    }
    timer = setTimeout(now, everyMs);
  };
  const stop = () => {
    isStopped = true;
    clearTimeout(timer);
    current.abort();
  };
  now();
  return { now, stop };
}

/** Call `work` once things have been quiet for a while; `.cancel()` takes it back. */
export function whenQuiet(work, afterMs) {
  let timer = 0;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(work, afterMs, ...values);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** Give a file to whoever looks at the page. */
export function download(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** What a colour token of the style sheet is just now, for drawing on a canvas. */
export function colorOf(token) {
  const probe = make("span", { hidden: true });
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}
