// Long work: asked for once, followed until it has ended, over a connection that may fail on the way.

import { askJson, isAborted, Problem, wordsOf } from "./api.js";
import { make } from "./dom.js";

const EVERY_MS = 300;
const OPEN = new Set(["queued", "running"]);

/** Whether it has not ended. */
export const isOpen = ({ state }) => OPEN.has(state);

/**
 * Follow a job until it has ended; return it then. `told(job, trouble)` each time, with the trouble in words while the archive
 * does not answer. Throws an AbortError when `signal` says so, and a Problem when the job is not there any more.
 */
export async function follow(job, told, signal) {
  let last = job;
  let trouble = "";
  while (isOpen(last)) {
    told(last, trouble);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    signal.throwIfAborted();
    try {
      last = await askJson(`/v1/jobs/${job.id}`, { signal });
      trouble = "";
    } catch (error) {
      if (isAborted(error) || (error instanceof Problem && error.status < 500 && error.status !== 429)) throw error;
      trouble = wordsOf(error);
    }
  }
  return last;
}

/** How far a job is, drawn. */
export function progressOf({ state, progress: { done = 0, total = 0 } }, label) {
  const text = state === "queued" ? "waits for its turn" : total ? `${Math.floor((100 * done) / total)} %` : "begins";
  const bar = make("progress", { max: total || 1, aria: { label } });
  if (total) bar.value = done;
  return make("p", { className: "progress" }, bar, make("span", { className: "muted" }, text));
}

/** What became of a job that did not go well. */
export const wordsOfEnd = ({ state, problem }) => problem?.detail ?? (state === "cancelled" ? "It was cancelled." : `It has ${state}.`);
