// The first page: backends, the ledger, and a live plot of one element. No build step, nothing from elsewhere.
"use strict";

const STATE_EVERY_MS = 3000;
const PLOT_EVERY_MS = 1000;
const WHOLE_EVERY_MS = 30000; // late samples and corrections come in with the next look at the whole window
const MOST_ROWS = 50000;
const MATCHES = 50;
const OUTCOMES = ["stored", "smoothed", "duplicate", "buffered", "rejected", "dead-lettered", "dropped"];

// Status bits, as archiver.model.status has them.
const bit = (number) => 1n << BigInt(number);
const INVALID = bit(5) | bit(6) | bit(17);
const BAD = INVALID | bit(3);
const DEFAULT = bit(1) | bit(2);
const DEFAULT_BAD = bit(8);
const DISCONNECTED = bit(56);
const PAUSED = bit(57);

const $ = (id) => document.getElementById(id);
const numbers = new Intl.NumberFormat("en");

// -- asking -------------------------------------------------------------------------------------------

async function ask(path, accept = "application/json") {
  const answer = await fetchWithKey(path, { headers: { Accept: accept } });
  if (!answer.ok && answer.status !== 503) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail || `${path} answered ${answer.status}`);
  }
  return answer;
}

/** Rows of a CSV text, each field with whether it was quoted: an empty text is quoted, a missing value is not. */
function parseCsv(text) {
  const rows = [];
  const pattern = /("(?:[^"]|"")*"|[^,\n]*)(,|\n|$)/y;
  let row = [];
  while (pattern.lastIndex < text.length) {
    const [, field, end] = pattern.exec(text);
    const quoted = field.startsWith('"');
    row.push({ text: quoted ? field.slice(1, -1).replaceAll('""', '"') : field, quoted });
    if (end !== ",") {
      rows.push(row);
      row = [];
    }
  }
  return rows.slice(1);
}

function sampleOf([, time, value, status]) {
  const bits = BigInt(status.text);
  const hasValue = value.quoted || value.text !== "";
  return { time: time.text, seconds: Date.parse(time.text.slice(0, 23) + "Z") / 1000, text: value.text, hasValue, bits };
}

function qualityOf(sample) {
  if (sample.bits & DISCONNECTED) return ["none", "disconnected"];
  if (sample.bits & PAUSED) return ["none", "paused"];
  if (!sample.hasValue) return ["none", "no value"];
  const bad = sample.bits & DEFAULT ? sample.bits & DEFAULT_BAD : sample.bits & BAD;
  if (bad) return ["bad", sample.bits & INVALID ? "invalid" : "bad"];
  return ["good", sample.bits & DEFAULT ? "default" : "good"];
}

/** A number to draw, or null where there is none. */
function numberOf(sample) {
  if (!sample.hasValue || sample.bits & (DISCONNECTED | PAUSED)) return null;
  if (sample.text === "true" || sample.text === "false") return Number(sample.text === "true");
  const number = Number(sample.text);
  return Number.isFinite(number) ? number : null;
}

// -- the element that is shown ------------------------------------------------------------------------

const shown = { name: null, metadata: null, samples: [], wholeAt: 0, busy: false, turn: 0 };

function windowSeconds() {
  return Number($("window").value);
}

async function show(name) {
  Object.assign(shown, { name, metadata: null, samples: [], wholeAt: 0 });
  const turn = ++shown.turn;
  $("search").value = name;
  remember();
  $("plot-note").textContent = "Loading …";
  try {
    const answer = await ask(`/v1/elements/metadata?element=${encodeURIComponent(name)}`);
    if (turn !== shown.turn) return;
    shown.metadata = await answer.json();
    shown.busy = false;
    await refreshPlot();
  } catch (error) {
    if (turn === shown.turn) note(error.message);
  }
}

function remember() {
  const state = new URLSearchParams({ element: shown.name || "", window: $("window").value });
  history.replaceState(null, "", `#${state}`);
}

async function refreshPlot() {
  if (!shown.metadata || shown.busy || document.hidden) return;
  const turn = shown.turn;
  shown.busy = true;
  try {
    const more = await load();
    if (turn !== shown.turn) return;
    draw(more);
  } catch (error) {
    if (turn === shown.turn) note(error.message);
  } finally {
    if (turn === shown.turn) shown.busy = false;
  }
}

/** Load the whole window, or what came after the last sample; return whether there is more than is shown. */
async function load() {
  const turn = shown.turn;
  const now = Date.now();
  const whole = now - shown.wholeAt > WHOLE_EVERY_MS || !shown.samples.length;
  const query = new URLSearchParams({ element: shown.name, end: "now+1h", limit: MOST_ROWS });
  query.set("start", whole ? `now-${windowSeconds()}s` : shown.samples.at(-1).time);
  if (whole) query.set("before", 1);
  const answer = await ask(`/v1/samples?${query}`, "text/csv");
  if (!answer.ok) throw new Error("No backend can be read just now; trying again.");
  const samples = parseCsv(await answer.text()).map(sampleOf);
  if (turn !== shown.turn) return false;
  if (whole) {
    shown.samples = samples;
    shown.wholeAt = now;
  } else {
    const last = shown.samples.at(-1).time;
    shown.samples = shown.samples.filter((sample) => sample.time !== last).concat(samples);
  }
  dropOld(now / 1000 - windowSeconds());
  return answer.headers.has("Forebay-Cursor");
}

/** Forget what lies before the window, but for the last sample before it: its value holds at the start. */
function dropOld(start) {
  const first = shown.samples.findIndex((sample) => sample.seconds >= start);
  const keep = first === -1 ? shown.samples.length - 1 : first - 1;
  if (keep > 0) shown.samples = shown.samples.slice(keep);
}

function draw(more) {
  showLatest();
  const kind = shown.metadata.kind;
  if (!shown.samples.length) {
    clearPlot();
    return note("Nothing of it is archived yet.");
  }
  if (!["float", "int", "uint", "bool", "enum"].includes(kind)) {
    clearPlot();
    return note(`Values of type ${kind} are not plotted; the newest is above.`);
  }
  const now = Date.now() / 1000;
  const start = now - windowSeconds();
  const inside = shown.samples.filter((sample) => sample.seconds >= start);
  plot(columnsOf(start, now), start, now);
  const problem = more ? ` Only the first ${numbers.format(MOST_ROWS)} are drawn: choose a shorter time.` : "";
  note(`${numbers.format(inside.length)} sample${inside.length === 1 ? "" : "s"} in the last ${$("window").selectedOptions[0].text}.${problem}`);
  $("plot").setAttribute("aria-label", `Plot of ${shown.name}: ${$("plot-note").textContent}`);
}

function note(text) {
  $("plot-note").textContent = text;
}

function showLatest() {
  const sample = shown.samples.at(-1);
  $("latest").hidden = !sample;
  if (!sample) return;
  const { unit, description, precision, states } = shown.metadata;
  const [quality, word] = qualityOf(sample);
  $("latest-name").textContent = shown.name;
  $("latest-description").textContent = description;
  $("latest-value").textContent = sample.hasValue ? readable(sample.text, precision, states) : "–";
  $("latest-unit").textContent = unit;
  $("latest-quality").textContent = word;
  $("latest-quality").dataset.quality = quality;
  $("latest-time").dateTime = sample.time;
  $("latest-time").textContent = `${sample.time.slice(0, 10)} ${sample.time.slice(11, 23)} UTC`;
}

function readable(text, precision, states) {
  if (states && text in states) return states[text];
  if (text.startsWith("[")) return arrayInShort(text);
  if (text.length > 80) return `${text.slice(0, 77)}…`;
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number) || Number.isInteger(number)) return text.replace(/\.0$/, "");
  return precision === null ? String(Number(number.toPrecision(9))) : number.toFixed(precision);
}

/** The first items of an array, and how many there are. */
function arrayInShort(text) {
  const items = text.slice(1, -1).split(",");
  const first = items.slice(0, 4).map((item) => (Number.isFinite(Number(item)) ? String(Number(Number(item).toPrecision(4))) : item));
  return items.length > 4 ? `${first.join(", ")} … (${items.length})` : first.join(", ");
}

// -- the plot -----------------------------------------------------------------------------------------

let chart = null;
let gaps = [];

/** Columns for uPlot: times, values, bad ones, and the last value held until now; notes the gaps on the way. */
function columnsOf(start, now) {
  const times = [];
  const values = [];
  const bad = [];
  const add = (seconds, value, badValue) => {
    times.push(seconds);
    values.push(value);
    bad.push(badValue);
  };
  gaps = [];
  for (const sample of shown.samples) {
    const value = numberOf(sample);
    const seconds = Math.max(sample.seconds, start);
    if (value === null && (values.at(-1) ?? null) !== null) add(seconds, values.at(-1), null); // it held until here
    add(seconds, value, qualityOf(sample)[0] === "bad" ? value : null);
    if (gaps.length && gaps.at(-1)[1] === null) gaps.at(-1)[1] = seconds;
    if (value === null) gaps.push([seconds, null]);
  }
  if (gaps.length && gaps.at(-1)[1] === null) gaps.at(-1)[1] = now;
  const held = times.map(() => null);
  const last = values.at(-1);
  if (last !== null && times.at(-1) < now) {
    held[held.length - 1] = last;
    held.push(last);
    add(now, null, null);
  }
  return [times, values, bad, held];
}

function clearPlot() {
  chart?.destroy();
  chart = null;
  $("figure").hidden = true;
}

function plot(columns, start, end) {
  $("figure").hidden = false;
  if (!chart) chart = new uPlot(options(), columns, $("plot"));
  chart.batch(() => {
    chart.setData(columns, false);
    chart.setScale("x", { min: start, max: end });
    chart.setScale("y", bounds(columns[1]));
  });
}

function bounds(values) {
  const present = values.filter((value) => value !== null);
  if (!present.length) return { min: 0, max: 1 };
  let low = Infinity;
  let high = -Infinity;
  for (const value of present) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const margin = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return { min: low - margin, max: high + margin };
}

function plotSize() {
  const narrow = window.innerWidth < 640;
  return { width: $("plot").clientWidth, height: narrow ? 210 : 300 };
}

function options() {
  const css = getComputedStyle(document.documentElement);
  const color = (name) => css.getPropertyValue(name).trim();
  const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const { states } = shown.metadata;
  const named = (number) => states?.[number] ?? (shown.metadata.kind === "bool" ? { 0: "false", 1: "true" }[number] : undefined);
  const discrete = ["bool", "enum"].includes(shown.metadata.kind);
  return {
    ...plotSize(),
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    scales: { x: { time: true, auto: false }, y: { auto: false } },
    axes: [
      { ...axis, space: 70, values: (self, ticks, index, space, step) => ticks.map((tick) => clock(tick, step)) },
      {
        ...axis,
        size: (self, labels) => Math.max(50, ...(labels ?? []).map((label) => String(label ?? "").length * 7.5 + 18)),
        ...(discrete ? { incrs: [1], values: (self, ticks) => ticks.map((tick) => named(tick) ?? String(tick)) } : {}),
      },
    ],
    series: [
      {},
      { stroke: color("--accent"), width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { size: 4 } },
      { stroke: color("--bad"), paths: () => null, points: { show: true, size: 7, width: 2, fill: color("--card") } },
      { stroke: color("--muted"), width: 1.5, dash: [5, 5], points: { show: false } },
    ],
    cursor: { points: { show: false }, drag: { x: false, y: false } },
    hooks: { drawAxes: [drawGaps(color("--gap"), color("--hatch"))] },
  };
}

function clock(seconds, step) {
  return new Date(seconds * 1000).toISOString().slice(11, step < 60 ? 19 : 16);
}

function drawGaps(fill, hatch) {
  return (self) => {
    const { ctx, bbox } = self;
    for (const [from, to] of gaps) {
      const left = Math.max(bbox.left, self.valToPos(from, "x", true));
      const right = Math.min(bbox.left + bbox.width, self.valToPos(to, "x", true));
      if (right <= left) continue;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, right - left, bbox.height);
      ctx.clip();
      ctx.fillStyle = fill;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.strokeStyle = hatch;
      ctx.lineWidth = 1.5;
      ctx.beginPath();
      for (let x = left - bbox.height; x < right; x += 12) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }
  };
}

// -- choosing an element ------------------------------------------------------------------------------

const matches = { names: [], active: -1, turn: 0 };

async function findElements() {
  const turn = ++matches.turn;
  const search = $("search").value === shown.name ? "" : $("search").value;
  try {
    const answer = await ask(`/v1/elements?${new URLSearchParams({ search: search.trim(), limit: MATCHES })}`);
    const found = await answer.json();
    if (turn === matches.turn) listMatches(found);
  } catch (error) {
    note(error.message);
  }
}

function listMatches({ elements, total }) {
  matches.names = elements.map((element) => element.element);
  const items = elements.map(({ element, unit, description }, index) => {
    const item = make("li", element);
    item.id = `match-${index}`;
    item.role = "option";
    const more = [unit, description].filter(Boolean).join(" · ");
    if (more) item.append(make("span", more, "muted"));
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      choose(index);
    });
    return item;
  });
  if (!total) items.push(make("li", "No element has this in its name.", "more"));
  if (total > elements.length) items.push(make("li", `and ${numbers.format(total - elements.length)} more: type on`, "more"));
  $("matches").replaceChildren(...items);
  $("matches").hidden = false;
  $("search").setAttribute("aria-expanded", "true");
  activate(elements.length ? 0 : -1);
}

function activate(index) {
  matches.active = index;
  for (const [number, item] of [...$("matches").children].entries()) {
    if (item.role !== "option") continue;
    item.setAttribute("aria-selected", String(number === index));
    if (number === index) item.scrollIntoView({ block: "nearest" });
  }
  if (index < 0) $("search").removeAttribute("aria-activedescendant");
  else $("search").setAttribute("aria-activedescendant", `match-${index}`);
}

function closeMatches() {
  matches.turn++;
  $("matches").hidden = true;
  $("search").setAttribute("aria-expanded", "false");
  $("search").removeAttribute("aria-activedescendant");
}

function choose(index) {
  closeMatches();
  clearPlot();
  if (matches.names[index]) show(matches.names[index]);
}

function onKey(event) {
  const open = !$("matches").hidden;
  const count = matches.names.length;
  if (event.key === "Escape") {
    closeMatches();
    $("search").value = shown.name || "";
  } else if (event.key === "Enter") {
    event.preventDefault();
    if (open && matches.active >= 0) choose(matches.active);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (!open) findElements();
    else if (count) activate((matches.active + (event.key === "ArrowDown" ? 1 : count - 1)) % count);
  }
}

// -- backends and ledger ------------------------------------------------------------------------------

function make(tag, text, className = "") {
  const node = document.createElement(tag);
  node.textContent = text;
  if (className) node.className = className;
  return node;
}

function cell(label, text, className = "") {
  const node = make("td", text, className);
  node.dataset.label = label;
  return node;
}

function age(seconds) {
  if (seconds < 1) return seconds ? "< 1 s" : "–";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function span(first, last) {
  if (!first) return "nothing yet";
  const [from, to] = [first, last].map((time) => `${time.slice(0, 10)} ${time.slice(11, 16)}`);
  return from.slice(0, 10) === to.slice(0, 10) ? `${from} to ${to.slice(11)} UTC` : `${from} to ${to} UTC`;
}

function showBackends(backends) {
  const rows = backends.map((backend) => {
    const row = document.createElement("tr");
    const name = make("th", backend.name);
    name.scope = "row";
    name.append(make("span", ` ${backend.kind}`, "muted"));
    row.append(
      name,
      cell("State", backend.state, `state-${backend.state}`),
      cell("Position", backend.position === null ? "–" : numbers.format(backend.position), "number"),
      cell("Lag, samples", numbers.format(backend.lag_samples), "number"),
      cell("Oldest waiting", age(backend.oldest_unflushed_s), "number"),
      cell("Holds", numbers.format(backend.samples), "number"),
      cell("Covers", span(backend.first, backend.last)),
    );
    if (backend.last_error) row.children[1].append(make("div", backend.last_error, "error"));
    return row;
  });
  $("backends").replaceChildren(...(rows.length ? rows : [emptyRow("No backend is configured.", 7)]));
}

function emptyRow(text, columns) {
  const row = document.createElement("tr");
  const node = make("td", text, "muted");
  node.colSpan = columns;
  row.append(node);
  return row;
}

function showLedger(totals) {
  const lanes = new Map();
  const present = new Set(["stored", "buffered", "rejected"]);
  for (const { lane, outcome, count } of totals) {
    if (!lanes.has(lane)) lanes.set(lane, {});
    lanes.get(lane)[outcome] = (lanes.get(lane)[outcome] || 0) + count;
    present.add(outcome);
  }
  const columns = OUTCOMES.filter((outcome) => present.has(outcome));
  const heads = columns.map((outcome) => make("th", outcome, "number"));
  const where = make("th", "Where");
  for (const head of [where, ...heads]) head.scope = "col";
  $("ledger-head").replaceChildren(where, ...heads);
  const rows = [...lanes].map(([lane, counts]) => {
    const row = document.createElement("tr");
    const name = make("th", lane);
    name.scope = "row";
    const cells = columns.map((outcome) => {
      const count = counts[outcome] || 0;
      return cell(outcome, numbers.format(count), count ? "number" : "number zero");
    });
    row.append(name, ...cells);
    return row;
  });
  $("ledger").replaceChildren(...(rows.length ? rows : [emptyRow("No sample was received yet.", columns.length + 1)]));
  const reasons = totals.filter(({ reason, outcome }) => reason && outcome !== "stored");
  const lines = reasons.map(({ lane, group, outcome, reason, count }) =>
    make("li", `${numbers.format(count)} ${outcome}, ${lane}${group ? `, group ${group}` : ""}: ${reason}`),
  );
  $("reasons").replaceChildren(...lines);
}

function health(state, text) {
  if ($("health").textContent === text) return;
  $("health").dataset.state = state;
  $("health").textContent = text;
}

async function refreshState() {
  if (document.hidden) return;
  try {
    const [ready, backends, ledger] = await Promise.all(
      ["/health/ready", "/v1/backends", "/v1/ledger"].map(async (path) => (await ask(path)).json()),
    );
    health(ready.reasons.length ? "trouble" : "ready", ready.reasons.join("; ") || "ready");
    showBackends(backends.backends);
    showLedger(ledger.totals);
  } catch (error) {
    health("trouble", error instanceof TypeError ? "The archive does not answer; trying again." : error.message);
  }
  if (!shown.name) await showFirst();
}

async function showFirst() {
  try {
    const { elements } = await (await ask("/v1/elements?limit=200")).json();
    const numeric = elements.find(({ kind }) => ["float", "int", "uint"].includes(kind)) || elements[0];
    if (numeric) await show(numeric.element);
    else note("No element is known yet. As soon as samples come in they are drawn here.");
  } catch (error) {
    note("The list of elements could not be loaded; trying again.");
  }
}

// -- life ---------------------------------------------------------------------------------------------

/** Call again and again, each time some while after the last call has ended. */
function repeat(work, everyMs) {
  const next = async () => {
    await work();
    setTimeout(next, everyMs);
  };
  next();
}

function begin() {
  const state = new URLSearchParams(location.hash.slice(1));
  if (state.has("window") && [...$("window").options].some(({ value }) => value === state.get("window"))) {
    $("window").value = state.get("window");
  }
  $("choice").addEventListener("submit", (event) => event.preventDefault());
  $("search").addEventListener("input", findElements);
  $("search").addEventListener("click", findElements);
  $("search").addEventListener("focus", () => $("search").select());
  $("search").addEventListener("keydown", onKey);
  $("search").addEventListener("blur", closeMatches);
  $("window").addEventListener("change", () => {
    shown.wholeAt = 0;
    remember();
    refreshPlot();
  });
  window.addEventListener("resize", () => chart?.setSize(plotSize()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    clearPlot();
    refreshPlot();
  });
  if (state.get("element")) show(state.get("element"));
  repeat(refreshState, STATE_EVERY_MS);
  repeat(refreshPlot, PLOT_EVERY_MS);
}

begin();
