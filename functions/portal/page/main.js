// The page: its views, one of which is shown, and the key.

import { byId } from "./dom.js";
import { start as startKey } from "./key.js";
import * as picture from "./picture.js";

const TITLES = { picture: "Picture", camera: "Camera", compliance: "Compliance" };
// The scripts of views that were not shown yet: most visits need the pictures alone.
const LATER = {
  picture: () => picture,
  camera: () => import("./camera.js"),
  compliance: () => import("./compliance.js"),
};

/** Make a view work, once; until then it is inert, so that no click on it is lost. `asked`: what the address asks for. */
async function startOnce(view, asked) {
  const load = LATER[view];
  if (!load) return;
  delete LATER[view];
  let script;
  try {
    script = await load();
  } catch {
    LATER[view] = load;
    const why = "This view could not be loaded. Look at your connection, then reload the page.";
    byId(view).querySelector(".lead").textContent = why;
    return;
  }
  script.start(asked);
  byId(view).inert = false;
}

function show(view, asked) {
  for (const name of Object.keys(TITLES)) byId(name).hidden = name !== view;
  for (const button of document.querySelectorAll("[data-view]")) {
    if (button.dataset.view === view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} – MaskWatch`;
  startOnce(view, asked);
}

function showWhatTheAddressSays() {
  const [named, query] = location.hash.slice(1).split("?");
  show(Object.hasOwn(TITLES, named) ? named : "picture", new URLSearchParams(query));
}

for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => (location.hash = button.dataset.view));
}
addEventListener("hashchange", showWhatTheAddressSays);
startKey();
showWhatTheAddressSays();
