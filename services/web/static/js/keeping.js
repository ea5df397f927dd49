// What is shown, to be kept: a link to it, all of its samples, a picture.

import { ask, isAborted, wordsOf } from "./api.js";
import { download, make } from "./dom.js";
import { pictureOf } from "./picture.js";
import { isoOf } from "./time.js";

/** Buttons for a view of trends, which says what became of it. */
export function keepers(of) {
  const button = (id, text, title, work) => make("button", { type: "button", id, title, onclick: (event) => work(of, event.currentTarget) }, text);
  return [
    button("link", "Link", "Copy a link to exactly this", copyLink),
    button("csv", "CSV", "All samples of this range, not thinned", saveCsv),
    button("png", "PNG", "The plot as a picture", savePicture),
  ];
}

async function copyLink(of) {
  const { from, to } = of.plot;
  const link = `${location.origin}${location.pathname}#/trends?${new URLSearchParams(of.address({ from, to }))}`;
  try {
    await navigator.clipboard.writeText(link);
    of.say("The link is on the clipboard.");
  } catch {
    of.say(link); // no clipboard without https: there it is to be copied by hand
  }
}

async function saveCsv(of, button) {
  const { from, to } = of.plot;
  const query = new URLSearchParams([...of.readable.map(({ name }) => ["element", name]), ["start", isoOf(from)], ["end", isoOf(to)]]);
  button.disabled = true;
  of.say("Reading all samples …");
  try {
    const answer = await ask(`/v1/samples?${query}`, { accept: "text/csv", signal: of.asking.signal });
    download(await answer.blob(), "samples.csv");
    of.say("");
  } catch (error) {
    if (!isAborted(error)) of.say(wordsOf(error), true);
  } finally {
    button.disabled = false;
  }
}

async function savePicture(of) {
  if (of.plot.chart) download(await pictureOf(of.plot, of.elements), "trend.png");
}
