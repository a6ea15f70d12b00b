// Sliders for what the camera view can be told.

import { byId, make } from "./dom.js";
import { DEFAULTS } from "./track.js";

const SLIDERS = [
  ["alertAfter", "Alert after so long without a mask", "s", 0, 30, 0.5, 3],
  ["most", "Frames a second, at most; each is a request", "", 1, 30, 1, 15],
  ["steadiness", "Smoothing of probabilities over", "s", 0, 3, 0.1, DEFAULTS.steadiness],
  ["margin", "Lead of a new label before it takes over", "", 0, 0.9, 0.05, DEFAULTS.margin],
  ["overlap", "Overlap of boxes that are the same face", "", 0.05, 0.9, 0.05, DEFAULTS.overlap],
  ["patience", "A face may be out of sight for", "s", 0, 5, 0.1, DEFAULTS.patience],
  ["sightings", "Frames before a face counts as a person", "", 1, 20, 1, DEFAULTS.sightings],
];

/** The settings, which follow the sliders. */
export const settings = Object.fromEntries(SLIDERS.map(([name, , , , , , usual]) => [name, usual]));

/** Draw the sliders. */
export function start() {
  byId("sliders").append(...SLIDERS.map(slider));
  byId("defaults").addEventListener("click", () => {
    for (const [name, , , , , , usual] of SLIDERS) {
      const input = byId(`set-${name}`);
      input.value = usual;
      input.dispatchEvent(new Event("input"));
    }
  });
}

function slider([name, words, unit, min, max, step]) {
  const id = `set-${name}`;
  const told = make("output");
  told.htmlFor.add(id);
  const input = make("input", { id, type: "range", min, max, step, value: settings[name] });
  const follow = () => {
    settings[name] = input.valueAsNumber;
    told.value = `${settings[name]}${unit && ` ${unit}`}`;
    input.setAttribute("aria-valuetext", told.value);
  };
  input.addEventListener("input", follow);
  follow();
  return make("div", { className: "slider" }, make("label", { htmlFor: id }, words), told, input);
}
