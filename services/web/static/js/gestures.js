// Pan by dragging, zoom by wheel, pinch, and a box with Shift; twice back out. Works on what has from, to and moved().

const LEAST_NS = 100;
const LEAST_SPREAD = 20; // px between fingers; nearer ones would zoom by any factor
const MOST_NS = 200 * 365 * 86400e9;

/** Listen on a node that shows the range `of.from … of.to`; return a function that lets go. */
export function gestures(node, of) {
  const pointers = new Map();
  let box = null;
  let last = null;

  const timeAt = (x) => of.from + BigInt(Math.round(((x - node.getBoundingClientRect().left) / node.clientWidth) * Number(of.to - of.from)));
  /** Where the fingers are between, and how far they are from each other, whichever way they point. */
  const spread = () => {
    const [[x, y], [otherX, otherY]] = [[...pointers.values()][0], [...pointers.values()].at(-1)];
    return { middle: (x + otherX) / 2, width: Math.max(LEAST_SPREAD, Math.hypot(x - otherX, y - otherY)) };
  };
  const down = (event) => {
    if (event.button !== 0) return;
    node.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (event.shiftKey && pointers.size === 1) box = makeBox(node, event.clientX);
    last = spread();
  };
  const move = (event) => {
    if (!pointers.has(event.pointerId)) return;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (box) return box.to(event.clientX);
    const next = spread();
    if (pointers.size > 1) zoom(of, timeAt(last.middle), last.width / next.width);
    if (next.middle !== last.middle) pan(of, (last.middle - next.middle) / node.clientWidth);
    last = next;
  };
  const up = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (box) {
      const [from, to] = box.close().map(timeAt);
      if (to - from >= LEAST_NS && event.type === "pointerup") of.moved(from, to);
      box = null;
    }
    if (pointers.size) last = spread();
  };
  const wheel = (event) => {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(of, (event.deltaX || event.deltaY) / node.clientWidth);
    else zoom(of, timeAt(event.clientX), 1.002 ** Math.max(-400, Math.min(400, event.deltaY * (event.deltaMode ? 30 : 1))));
  };
  const out = (event) => zoom(of, timeAt(event.clientX), 4);
  const listeners = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up, wheel, dblclick: out };
  for (const [name, listener] of Object.entries(listeners)) node.addEventListener(name, listener, { passive: false });
  return () => {
    for (const [name, listener] of Object.entries(listeners)) node.removeEventListener(name, listener);
  };
}

/** Move by a fraction of what is visible. */
export function pan(of, fraction) {
  const by = BigInt(Math.round(Number(of.to - of.from) * fraction));
  if (by) of.moved(of.from + by, of.to + by);
}

/** Show `factor` times as much, with the time that is under the pointer where it is. */
export function zoom(of, middle, factor) {
  const visible = Number(of.to - of.from);
  const next = Math.max(LEAST_NS, Math.min(MOST_NS, visible * factor));
  const before = BigInt(Math.round((Number(middle - of.from) / visible) * next));
  of.moved(middle - before, middle - before + BigInt(Math.round(next)));
}

function makeBox(node, start) {
  const box = Object.assign(document.createElement("div"), { className: "zoom-box" });
  node.append(box);
  let end = start;
  return {
    to(x) {
      end = x;
      box.style.left = `${Math.min(start, end) - node.getBoundingClientRect().left}px`;
      box.style.width = `${Math.abs(end - start)}px`;
    },
    close() {
      box.remove();
      return [Math.min(start, end), Math.max(start, end)];
    },
  };
}
