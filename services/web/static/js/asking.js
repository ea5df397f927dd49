// A question before what cannot be taken back.

import { make } from "./dom.js";

let number = 0;

/** Ask whether to go on: a title, what would happen in lines, and the word on the button. Leaving the view is a no. */
export function confirmed(title, lines, yes, signal) {
  const id = `question-${++number}`;
  const go = make("button", { type: "submit", value: "yes", className: "danger" }, yes);
  const back = make("button", { type: "submit", value: "", autofocus: true }, "Cancel");
  const dialog = make("dialog", { className: "question", aria: { labelledby: id } },
    make("form", { method: "dialog" }, make("h2", { id }, title), ...lines.map((line) => make("p", {}, line)), make("div", { className: "buttons" }, back, go)));
  document.body.append(dialog);
  return new Promise((resolve) => {
    const close = () => dialog.close("");
    dialog.addEventListener("close", () => {
      signal.removeEventListener("abort", close);
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    signal.addEventListener("abort", close);
    dialog.showModal();
  });
}
