// Boxes over a picture or a video, positioned in percent so that they scale with it.

import { LABELS, make, percent, SIGNS, WORDS } from "./dom.js";

/**
 * Draw a box for each face into a layer that covers the picture exactly.
 * A face is {box, label, confidence, number?}; `size` is the {width, height} that boxes refer to.
 */
export function drawBoxes(layer, faces, size) {
  layer.replaceChildren(...faces.map((face) => box(face, size)));
}

function box({ box: { left, top, width, height }, label, confidence, number }, size) {
  const name = number ? `${number} ` : "";
  const room = width / size.width > 0.14; // for words
  const words = room ? ` ${WORDS[label]} ${percent(confidence)}` : "";
  const tag = make("span", { className: "tag" }, `${name}${SIGNS[label]}${words}`);
  tag.classList.toggle("under", top / size.height < 0.06);
  tag.classList.toggle("back", (left + width / 2) / size.width > 0.5); // so that it does not leave the picture
  const style = {
    left: percent(left / size.width, 2), top: percent(top / size.height, 2),
    width: percent(width / size.width, 2), height: percent(height / size.height, 2),
  };
  return make("div", { className: `box ${label}`, style }, tag);
}

/** Draw a bar for the probability of each label. */
export function drawProbabilities(probabilities) {
  return make("div", {}, ...LABELS.map((label) =>
    make("div", { className: `chance ${label}` },
      make("span", {}, WORDS[label]),
      make("span", { className: "track" },
        make("span", { className: "fill", style: { width: percent(probabilities[label], 1) } })),
      make("span", { className: "num" }, percent(probabilities[label], 1)))));
}
