// The page's entry point: switches between views, and loads their scripts.

import { byId } from "./dom.js";
import { start as startKey } from "./key.js";
import * as picture from "./picture.js";

const TITLES = { picture: "Picture", camera: "Camera", compliance: "Compliance" };
// Loaders of views that have not been shown yet; most visits need only the picture view.
const LOADERS = {
  picture: () => picture,
  camera: () => import("./camera.js"),
  compliance: () => import("./compliance.js"),
};

/** Load and start a view once. Until then it is inert, so that no click is lost. `query` comes from the address. */
async function startOnce(view, query) {
  const load = LOADERS[view];
  if (!load) return;
  delete LOADERS[view];
  let script;
  try {
    script = await load();
  } catch {
    LOADERS[view] = load;
    const why = "This view could not be loaded. Check your connection, then reload the page.";
    byId(view).querySelector(".lead").textContent = why;
    return;
  }
  script.start(query);
  byId(view).inert = false;
}

function show(view, query) {
  for (const name of Object.keys(TITLES)) byId(name).hidden = name !== view;
  for (const button of document.querySelectorAll("[data-view]")) {
    if (button.dataset.view === view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} – MaskWatch`;
  startOnce(view, query);
}

function showViewOfAddress() {
  const [named, query] = location.hash.slice(1).split("?");
  show(Object.hasOwn(TITLES, named) ? named : "picture", new URLSearchParams(query));
}

for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => (location.hash = button.dataset.view));
}
addEventListener("hashchange", showViewOfAddress);
startKey();
showViewOfAddress();
