// How many alarms want an acknowledgement, in the navigation of every view.

import { askJson } from "../api.js";
import { make, repeat } from "../dom.js";
import { count } from "../format.js";
import { owedOf } from "./words.js";

const EVERY_MS = 5000; // asked for, not listened to: a browser has six connections to an archive, for all of its tabs

/** Keep the number right on a link, for as long as the page is there. */
export function alarmBadge(link) {
  const badge = make("span", { id: "alarm-badge", className: "count", hidden: true });
  link.append(badge);
  const tell = (counts) => {
    const owed = owedOf(counts);
    badge.hidden = owed === 0;
    badge.textContent = owed > 999 ? "999+" : String(owed);
    const words = owed === 0 ? "" : `${count(owed)} unacknowledged`;
    link.title = words;
    badge.setAttribute("aria-label", words);
  };
  document.addEventListener("alarm-counts", ({ detail }) => tell(detail));
  const refresh = async (signal) => tell((await askJson("/v1/alarms?limit=0", { signal })).counts);
  const unknown = () => {
    badge.textContent = "?";
    link.title = "How many alarms there are is not known just now";
    badge.setAttribute("aria-label", link.title);
  };
  repeat(refresh, EVERY_MS, (error) => error && !badge.hidden && unknown());
}

/** Tell the badge what somebody else has just been told. */
export const tellBadge = (counts) => document.dispatchEvent(new CustomEvent("alarm-counts", { detail: counts }));
