// The API key, which is kept only in this tab's session storage.

import { byId } from "./dom.js";

const NAME = "maskwatch-key";
let asking = null; // a single dialog, however many requests wait for it

export const key = () => sessionStorage.getItem(NAME) ?? "";

/** Show the dialog with a reason; resolves to whether a key was entered. */
export function askForKey(why = "") {
  asking ??= new Promise((done) => {
    const dialog = byId("key-dialog");
    byId("key-why").textContent = why;
    byId("key-input").value = "";
    byId("key-forget").hidden = !key();
    dialog.returnValue = "";
    dialog.addEventListener("close", () => done(dialog.returnValue === "given"), { once: true });
    dialog.showModal();
  }).finally(() => (asking = null));
  return asking;
}

/** Initialise the dialog and its button. */
export function start() {
  const dialog = byId("key-dialog");
  byId("key").addEventListener("click", () => askForKey(key() && "A key is already set; a new one replaces it."));
  byId("key-cancel").addEventListener("click", () => dialog.close());
  byId("key-forget").addEventListener("click", () => {
    sessionStorage.removeItem(NAME);
    dialog.close();
  });
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = byId("key-input").value.trim();
    if (!/^[!-~]+$/.test(given)) {
      byId("key-why").textContent = "The API key contains invalid characters. Copy it again.";
      return;
    }
    sessionStorage.setItem(NAME, given);
    byId("key-input").value = "";
    dialog.close("given");
  });
}
