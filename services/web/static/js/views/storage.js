// Storage: what each backend holds, what it refused, and whether two of them hold the same.

import { askCaller } from "../caller.js";
import { letters } from "../storage/letters.js";
import { segments } from "../storage/segments.js";
import { verification } from "../storage/verification.js";

export const title = "Storage";

/** Show it; the returned function lets go of it. */
export function mount(root, parameters, navigate) {
  const remember = (job) => navigate("storage", { job }, { replace: true });
  const parts = [letters(askCaller), segments(askCaller), verification(askCaller, parameters.get("job") ?? "", remember)];
  root.append(...parts.map(({ section }) => section));
  return () => parts.forEach(({ stop }) => stop());
}
