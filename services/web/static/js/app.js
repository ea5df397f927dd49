// The shell: the hash says which view is shown and with what; health, colours and the help are everywhere.

import { ask, installKey, wordsOf } from "./api.js";
import { alarmBadge } from "./alarms/badge.js";
import { make, repeat } from "./dom.js";
import * as alarms from "./views/alarms.js";
import * as archive from "./views/archive.js";
import * as explain from "./views/explain.js";
import * as load from "./views/load.js";
import * as query from "./views/query.js";
import * as storage from "./views/storage.js";
import * as trends from "./views/trends.js";

/** Views by the first part of the hash, in the order of the navigation; the first is shown when there is none. */
const VIEWS = { trends, alarms, archive, storage, query, explain, load };

const HEALTH_EVERY_MS = 5000;
const THEME = "forebay-theme";
const KEYS = [
  ["1 … 9", "go to a view"],
  ["?", "this help"],
];

const $ = (id) => document.getElementById(id);
let shown = { name: "", hash: "", unmount: () => {} };

/** The hash of a view: `#/trends?e=A`. */
function hashOf(name, parameters) {
  const text = String(new URLSearchParams(parameters));
  return `#/${name}${text ? `?${text}` : ""}`;
}

/** The view that the address names, and its parameters. */
function addressed() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { name: Object.hasOwn(VIEWS, path) ? path : Object.keys(VIEWS)[0], query };
}

/**
 * Go to a view, for the view that is `from`; one that was left goes nowhere any more. With `replace` only the address changes,
 * since the view itself has drawn what it says: a view that is being left (the address is another one, the browser has
 * not said so yet) does not take the address back.
 */
function navigate(from, name, parameters = {}, { replace = false } = {}) {
  if (shown !== from) return;
  const hash = hashOf(name, parameters);
  if (!replace) location.hash = hash;
  else if (location.hash === from.hash) {
    history.replaceState(null, "", hash);
    from.hash = location.hash;
  }
}

function show() {
  const { name, query } = addressed();
  shown.unmount();
  const view = VIEWS[name];
  const root = $("view");
  root.replaceChildren();
  root.dataset.view = name;
  document.title = `${view.title} – forebay`;
  for (const link of $("navigation").children) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const next = (shown = { name, hash: location.hash, unmount: () => {} });
  next.unmount = view.mount(root, new URLSearchParams(query), (...to) => navigate(next, ...to));
}

async function refreshHealth(signal) {
  const ready = await (await ask("/health/ready", { expect: [503], signal })).json();
  tellHealth(ready.reasons.length ? "trouble" : "ready", ready.reasons.join("; ") || "ready");
}

function tellHealth(state, text) {
  if ($("health").textContent === text) return;
  $("health").dataset.state = state;
  $("health").textContent = text;
  $("health").title = text;
}

function installTheme() {
  const apply = () => {
    const theme = localStorage.getItem(THEME) ?? "";
    document.documentElement.dataset.theme = theme;
    $("theme").value = theme;
    document.dispatchEvent(new Event("colors"));
  };
  $("theme").addEventListener("change", () => {
    if ($("theme").value) localStorage.setItem(THEME, $("theme").value);
    else localStorage.removeItem(THEME);
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("colors")));
  apply();
}

function help() {
  const keys = [...(VIEWS[shown.name].keys ?? []), ...KEYS];
  $("help-keys").replaceChildren(...keys.flatMap(([key, does]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, does)]));
  if (!$("help-dialog").open) $("help-dialog").showModal();
}

/** Keys that hold everywhere, but not while somebody types. */
function onKey(event) {
  const typing = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") help();
  else if (/^[1-9]$/.test(event.key)) {
    const name = Object.keys(VIEWS)[Number(event.key) - 1];
    if (name) location.hash = hashOf(name, {});
  }
}

function begin() {
  installKey();
  installTheme();
  const links = Object.entries(VIEWS).map(([name, view]) => make("a", { href: `#/${name}`, data: { view: name } }, view.title));
  $("navigation").replaceChildren(...links);
  alarmBadge(links.find(({ dataset }) => dataset.view === "alarms"));
  $("help").addEventListener("click", help);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address says what is shown
    $("view").focus();
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", show);
  show();
  repeat(refreshHealth, HEALTH_EVERY_MS, (error) => error && tellHealth("trouble", wordsOf(error)));
}

begin();
