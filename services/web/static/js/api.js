// Asking the archive: with the key if there is one, its problems as errors, its text as rows.

const KEY = "forebay-key";
const WRONG_KEY = "This key is not valid, or not any more.";
const RETRY_MS = 1000; // of a connection that ended
const MOST_RETRY_MS = 10_000;
let asked = null;

/** What the archive said instead of an answer: `status`, `type` and the whole `problem`. */
export class Problem extends Error {
  constructor(status, problem, path) {
    super([problem.detail || problem.title || `${path} answered ${status}`, problem.fix].filter(Boolean).join(" "));
    this.status = status;
    this.type = problem.type ?? "";
    this.problem = problem;
  }
}

/** Whether a request was given up by the page itself. */
export const isAborted = (error) => error?.name === "AbortError";

/** An error in words for whoever looks at the page. */
export function wordsOf(error) {
  return error instanceof TypeError ? "The archive does not answer; trying again." : error.message;
}

/**
 * Ask for a path; the answer is a Response that is ok.
 *
 * `accept` is the media type, `json` or `body` what is sent (then as POST), `expect` lists statuses that are no error.
 * Throws a Problem; a TypeError when nothing answers; an AbortError when `signal` says so.
 */
export async function ask(path, { accept = "application/json", method, json, body, headers, signal, expect = [] } = {}) {
  const sent = json === undefined ? body : JSON.stringify(json);
  const answer = await fetchWithKey(path, {
    method: method ?? (sent === undefined ? "GET" : "POST"),
    headers: { Accept: accept, ...(json === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
    body: sent,
    signal,
  });
  if (answer.ok || expect.includes(answer.status)) return answer;
  throw new Problem(answer.status, await problemOf(answer), path);
}

/** What a refusal says; nothing where it is not JSON. One that was given up stays given up. */
async function problemOf(answer) {
  try {
    return (await answer.json()) ?? {};
  } catch (error) {
    if (isAborted(error)) throw error;
    return {};
  }
}

/** Ask for JSON. Whole numbers that a JavaScript number cannot hold come as text. */
export async function askJson(path, options) {
  return parseJson(await (await ask(path, options)).text());
}

/** Parse JSON; whole numbers of 16 digits and more as text, which BigInt takes as well as numbers. */
export function parseJson(text) {
  return JSON.parse(text.replace(/("(?:[^"\\]|\\.)*"\s*:?\s*)|(?<![\d.])(-?\d{16,})(?![\d.eE])/g, (all, skip, long) => skip ?? `"${long}"`));
}

/** Ask for samples as columns, with what is said of the answer: `{header, rows, outcome}`; see `parseCsv`. */
export async function askRows(parameters, options = {}) {
  const query = new URLSearchParams(parameters);
  query.set("outcome", "true");
  const answer = await ask(`/v1/samples?${query}`, { ...options, accept: "text/csv" });
  return parseCsv(await answer.text());
}

/**
 * Read a CSV text: `{header, rows, outcome}`. A field is a text; a missing value (empty, without quotes) is null.
 * `outcome` is the JSON after `#`, which ends the text if it was asked for.
 */
export function parseCsv(text) {
  const rows = [];
  let outcome = null;
  let at = 0;
  while (at < text.length) {
    if (text[at] === "#") {
      outcome = JSON.parse(text.slice(at + 1));
      break;
    }
    const row = [];
    at = text[at] === "\n" ? at + 1 : readRow(text, at, row);
    if (row.length) rows.push(row);
  }
  return { header: rows[0] ?? [], rows: rows.slice(1), outcome };
}

/** Read the fields of one row; return where the next begins. */
function readRow(text, at, row) {
  for (;;) {
    let end;
    if (text[at] === '"') {
      end = at + 1;
      while (text[end] !== '"' || text[end + 1] === '"') end += text[end] === '"' ? 2 : 1;
      row.push(text.slice(at + 1, end).replaceAll('""', '"'));
      end += 1;
    } else {
      end = at;
      while (end < text.length && text[end] !== "," && text[end] !== "\n") end += 1;
      row.push(end > at ? text.slice(at, end) : null);
    }
    if (text[end] !== ",") return end + 1;
    at = end + 1;
  }
}

/** Watch elements: as `listen`; an event has samples. */
export function live(elements, told, signal, every = "250ms") {
  const query = new URLSearchParams([...elements.map((name) => ["element", name]), ["every", every]]);
  return listen(`/v1/live?${query}`, told, signal);
}

/**
 * Listen to a path: `told(event, data)` for each server-sent event until `signal` aborts. When the connection ends it
 * is made again, and goes on after the last event; `told("lost", error)` says so meanwhile, and `told("idle", {})` that
 * it is there, with nothing new. An archive that does not know the last event any more is asked from the beginning.
 */
export async function listen(path, told, signal) {
  let last = "";
  let pause = RETRY_MS;
  while (!signal.aborted) {
    try {
      const headers = last ? { "Last-Event-ID": last } : {};
      const answer = await ask(path, { accept: "text/event-stream", headers, signal });
      for await (const { id, event, data } of eventsOf(answer.body)) {
        if (signal.aborted) return;
        last = id ?? last;
        pause = RETRY_MS;
        if (data === undefined) told("idle", {});
        else told(event, parseJson(data));
      }
    } catch (error) {
      if (isAborted(error) || signal.aborted) return;
      if (last && error instanceof Problem && error.status === 400) {
        last = ""; // of a journal that is not there any more
        continue;
      }
      told("lost", error);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, MOST_RETRY_MS);
  }
}

async function* eventsOf(body) {
  let text = "";
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      yield Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
    }
  }
}

// -- the key: kept for this tab, until it is closed ---------------------------------------------------

/** As fetch, with the key if there is one; when the archive wants another, ask for it and go on. */
async function fetchWithKey(path, options) {
  for (;;) {
    await asked; // nothing is sent with a key that is being replaced
    const key = sessionStorage.getItem(KEY);
    const answer = await fetch(path, { ...options, headers: { ...options.headers, ...credentials(key) } });
    if (!(await isRefused(answer, key))) {
      document.getElementById("forget-key").hidden = !key;
      return answer;
    }
    if (sessionStorage.getItem(KEY) === key) await askForKey(Boolean(key)); // else it came while we waited
  }
}

const credentials = (key) => (key ? { Authorization: `Bearer ${key}` } : {});

/** Whether the key, or that there is none, is why there is no answer; a wrong one is not even looked at when it came too often. */
async function isRefused(answer, key) {
  if (answer.status !== 429 || !key) return answer.status === 401;
  return Boolean((await problemOf(answer.clone())).type?.endsWith(":too-many-failures"));
}

/** Wait until somebody has given a key that is one; those who ask at the same time wait for the same one. */
function askForKey(wasWrong) {
  asked ??= new Promise((resolve) => {
    const dialog = document.getElementById("key-dialog");
    const field = document.getElementById("key");
    const note = document.getElementById("key-note");
    sessionStorage.removeItem(KEY);
    note.textContent = wasWrong ? WRONG_KEY : "";
    field.value = "";
    dialog.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      const key = field.value.trim();
      note.textContent = await refusalOf(key);
      if (note.textContent) return field.select();
      sessionStorage.setItem(KEY, key);
      asked = null;
      dialog.close();
      return resolve();
    };
    if (!dialog.open) dialog.showModal();
    field.focus();
  });
  return asked;
}

/** Why a key is none, asked once, before everything that waits for it asks; nothing when it is one. */
async function refusalOf(key) {
  if (!/^[\x21-\x7e]+$/.test(key)) return WRONG_KEY;
  try {
    const answer = await fetch("/v1/caller", { headers: credentials(key) });
    if (answer.status === 401) return WRONG_KEY;
    return (await isRefused(answer, key)) ? (await problemOf(answer)).detail : "";
  } catch (error) {
    return wordsOf(error);
  }
}

/** Let the dialog stay until there is a key, and the button forget it. */
export function installKey() {
  const dialog = document.getElementById("key-dialog");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.addEventListener("close", () => asked && dialog.showModal()); // a browser may close it all the same
  document.getElementById("forget-key").addEventListener("click", () => {
    sessionStorage.removeItem(KEY);
    location.reload();
  });
}
