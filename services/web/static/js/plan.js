// A plan drawn: a lane for each backend, a bar where it answers, dashed where it stands by, hatched where something is missing.

import { make } from "./dom.js";
import { count } from "./format.js";
import { parseTime, shownTime, zoneName } from "./time.js";

/** Draw a plan, as `POST /v1/query?plan=true` gives it, into a node. */
export function drawPlan(node, plan) {
  const [start, end] = [parseTime(plan.start), parseTime(plan.end)];
  const whole = Number(end - start) || 1;
  const place = (from, to) => {
    const left = Math.max(0, Number(parseTime(from) - start) / whole);
    const right = Math.min(1, Number(parseTime(to) - start) / whole);
    return { left: `${100 * left}%`, width: `${Math.max(0.4, 100 * (right - left))}%` };
  };
  const lanes = new Map();
  const lane = (name) => {
    if (!lanes.has(name)) lanes.set(name, make("div", { className: "track" }));
    return lanes.get(name);
  };
  const bar = (kind, text, why, from, to) => {
    const found = make("div", { className: `bar ${kind}`, title: why, tabIndex: 0, aria: { label: why } }, text);
    Object.assign(found.style, place(from, to));
    return found;
  };
  for (const step of plan.steps) {
    const rows = step.rows === null ? "" : `${count(step.rows)} rows`;
    const some = step.elements.length ? ` (${step.elements.length} of the elements)` : "";
    lane(step.backend).append(bar("answers", rows, `${step.backend} answers ${step.start} to ${step.end}${some}: ${step.why}`, step.start, step.end));
    for (const name of step.stand_by) lane(name).append(bar("stands-by", "", `${name} stands by`, step.start, step.end));
  }
  for (const gap of plan.missing) {
    const named = gap.elements?.length ? `${gap.elements.join(", ")}: ` : "";
    lane(gap.backend || "missing").append(bar("missing", "", `${named}${gap.reason}`, gap.start, gap.end));
  }
  const rows = [...lanes].flatMap(([name, track]) => [make("span", { className: "name" }, name), track]);
  const axis = make("div", { className: "ends muted" }, make("span", {}, shownTime(start, 0)), make("span", {}, `${shownTime(end, 0)} ${zoneName()}`));
  const reasons = [...new Set(plan.missing.map((gap) => gap.reason))].map((text) => make("li", {}, text));
  node.replaceChildren(make("div", { className: "lanes" }, ...rows, make("span"), axis), make("ul", { className: "reasons" }, ...reasons));
}
