// The page's entry point: switches between views, and loads their scripts.

import { byId } from "./dom.js";
import { start as startKey } from "./key.js";
import * as picture from "./picture.js";

const TITLES = { picture: "Picture", camera: "Camera", compliance: "Compliance" };
// Most visits need only the picture view; the others are loaded when they are shown first.
const LOADERS = {
  picture: () => picture,
  camera: () => import("./camera.js"),
  compliance: () => import("./compliance.js"),
};
const views = {}; // of those that were shown, by name, the promise of the started script

/** Load and start a view. Until then it is inert, so that no click is lost. */
async function start(view) {
  let script;
  try {
    script = await LOADERS[view]();
  } catch {
    delete views[view]; // so that it is loaded when it is shown again
    const why = "This view could not be loaded. Check your connection, then reload the page.";
    byId(view).querySelector(".lead").textContent = why;
    return null;
  }
  script.start();
  byId(view).inert = false;
  return script;
}

/** Open what an address names in a view; without a query, a view that was shown before stays as it is. */
async function open(view, query) {
  const isFirst = !views[view];
  const script = await (views[view] ??= start(view));
  if (isFirst || query) script?.open?.(new URLSearchParams(query));
}

function show(view, query) {
  for (const name of Object.keys(TITLES)) byId(name).hidden = name !== view;
  for (const button of document.querySelectorAll("[data-view]")) {
    if (button.dataset.view === view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} – MaskWatch`;
  open(view, query);
}

function showViewOfAddress() {
  const [named, query] = location.hash.slice(1).split("?");
  show(Object.hasOwn(TITLES, named) ? named : "picture", query);
}

for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => (location.hash = button.dataset.view));
}
addEventListener("hashchange", showViewOfAddress);
startKey();
showViewOfAddress();
