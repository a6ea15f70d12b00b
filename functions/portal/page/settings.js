// The settings of the camera view, and their sliders.

import { byId, make } from "./dom.js";
import { DEFAULTS } from "./track.js";

const SLIDERS = [
  ["alertAfter", "Alert after this time without a mask", "s", 0, 30, 0.5, 3],
  ["maxRate", "Frames a second, at most; each is a request", "", 1, 30, 1, 5],
  ["steadiness", "Smoothing of probabilities over", "s", 0, 3, 0.1, DEFAULTS.steadiness],
  ["margin", "Lead of a new label before it takes over", "", 0, 0.9, 0.05, DEFAULTS.margin],
  ["overlap", "Overlap from which two boxes are the same face", "", 0.05, 0.9, 0.05, DEFAULTS.overlap],
  ["patience", "A face may be out of sight for", "s", 0, 5, 0.1, DEFAULTS.patience],
  ["sightings", "Frames before a face counts as a person", "", 1, 20, 1, DEFAULTS.sightings],
];

/** The current values of the sliders. */
export const settings = Object.fromEntries(SLIDERS.map(([name, , , , , , initial]) => [name, initial]));

/** Draw the sliders. */
export function start() {
  byId("sliders").append(...SLIDERS.map(slider));
  byId("defaults").addEventListener("click", () => {
    for (const [name, , , , , , initial] of SLIDERS) {
      const input = byId(`set-${name}`);
      input.value = initial;
      input.dispatchEvent(new Event("input"));
    }
  });
}

function slider([name, words, unit, min, max, step]) {
  const id = `set-${name}`;
  const output = make("output");
  output.htmlFor.add(id);
  const input = make("input", { id, type: "range", min, max, step, value: settings[name] });
  const follow = () => {
    settings[name] = input.valueAsNumber;
    output.value = `${settings[name]}${unit && ` ${unit}`}`;
    input.setAttribute("aria-valuetext", output.value);
  };
  input.addEventListener("input", follow);
  follow();
  return make("div", { className: "slider" }, make("label", { htmlFor: id }, words), output, input);
}
