// The key of the archive: asked for when the archive wants one; kept for this tab, until it is closed.
"use strict";

const KEY = "forebay-key";
let asked = null;

/** As fetch, with the key if there is one; when the archive wants another, ask for it and go on. */
async function fetchWithKey(path, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const credentials = key ? { Authorization: `Bearer ${key}` } : {};
    const answer = await fetch(path, { ...options, headers: { ...options.headers, ...credentials } });
    if (answer.status !== 401) {
      document.getElementById("forget-key").hidden = !key;
      return answer;
    }
    if (sessionStorage.getItem(KEY) === key) await askForKey(Boolean(key)); // else it came while we waited
  }
}

/** Wait until somebody has given a key; those who ask at the same time wait for the same one. */
function askForKey(wasWrong) {
  asked ??= new Promise((resolve) => {
    const dialog = document.getElementById("key-dialog");
    const field = document.getElementById("key");
    sessionStorage.removeItem(KEY);
    document.getElementById("key-note").textContent = wasWrong ? "This key is not valid, or not any more." : "";
    field.value = "";
    dialog.querySelector("form").onsubmit = () => {
      sessionStorage.setItem(KEY, field.value.trim());
      asked = null;
      resolve();
    };
    if (!dialog.open) dialog.showModal();
    field.focus();
  });
  return asked;
}

document.getElementById("key-dialog").addEventListener("cancel", (event) => event.preventDefault());
document.getElementById("forget-key").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  location.reload();
});
