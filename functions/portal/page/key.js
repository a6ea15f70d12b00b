// The API key: in this tab's session storage, and nowhere else.

import { byId } from "./dom.js";

const NAME = "maskwatch-key";
let asking = null; // one dialog, however many requests wait for it

export const key = () => sessionStorage.getItem(NAME) ?? "";

/** Ask for a key, saying why; resolves to whether one was given. */
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

/** Make the dialog and the button work. */
export function start() {
  const dialog = byId("key-dialog");
  byId("key").addEventListener("click", () => askForKey(key() && "There is one already; another takes its place."));
  byId("key-cancel").addEventListener("click", () => dialog.close());
  byId("key-forget").addEventListener("click", () => {
    sessionStorage.removeItem(NAME);
    dialog.close();
  });
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = byId("key-input").value.trim();
    if (!/^[!-~]+$/.test(given)) {
      byId("key-why").textContent = "The API key has characters that no key has. Copy it again.";
      return;
    }
    sessionStorage.setItem(NAME, given);
    byId("key-input").value = "";
    dialog.close("given");
  });
}
