// Trends of elements.

import { make } from "../dom.js";

export const title = "Trends";

export function mount(root) {
  root.append(make("section", { className: "card" }, make("p", { className: "note" }, "Loading …")));
  return () => {};
}
