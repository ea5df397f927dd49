// Alarms: the list as it is now, what was, how the alarm system does, and the rules that make alarms.

import { history } from "../alarms/history.js";
import { alarmList, keys as listKeys } from "../alarms/list.js";
import { rules } from "../alarms/rules.js";
import { make } from "../dom.js";

export const title = "Alarms";
export const keys = listKeys;

const PARTS = { list: ["Now", alarmList], history: ["History", history], rules: ["Rules", rules] };

/** Show the part that the address names; the returned function lets go of it. */
export function mount(root, parameters, navigate) {
  const asked = parameters.get("show");
  const name = Object.hasOwn(PARTS, asked) ? asked : "list";
  const link = ([part, [text]]) => make("a", { href: part === "list" ? "#/alarms" : `#/alarms?show=${part}`, aria: part === name ? { current: "page" } : {} }, text);
  const remember = (values) => navigate("alarms", { ...(name === "list" ? {} : { show: name }), ...values }, { replace: true });
  root.append(make("nav", { className: "parts", aria: { label: "Parts of alarms" } }, Object.entries(PARTS).map(link)));
  const { nodes, stop } = PARTS[name][1](parameters, remember);
  root.append(...nodes);
  return stop;
}
