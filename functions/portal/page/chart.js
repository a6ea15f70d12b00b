// Shares over time as stacked bars, in SVG.

import { percent, plural, WORDS } from "./dom.js";

export const STACK = ["mask", "incorrect", "no_mask", "uncertain"]; // from the bottom, always in this order
const HEIGHT = 190;
const LEFT = 44;
const TOP = 8;
const BOTTOM = 26;

/**
 * Draw a chart of `width` pixels with a stacked bar for each slot {name, counts, alerts}: the share of faces with each
 * label. A slot without faces has no bar; one in which alerts began has a mark on the axis.
 */
export function drawShares(slots, width) {
  const chart = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" });
  const height = HEIGHT - TOP - BOTTOM;
  for (const share of [0, 0.5, 1]) {
    const y = TOP + height * (1 - share);
    chart.append(draw("line", { x1: LEFT, x2: width, y1: y, y2: y }));
    chart.append(draw("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, percent(share)));
  }
  const step = (width - LEFT) / slots.length;
  const every = Math.ceil(66 / step); // a name is 66 pixels wide
  slots.forEach(({ name, counts, alerts }, i) => {
    const x = LEFT + i * step;
    if (i % every === 0) chart.append(draw("text", { x: x + step / 2, y: HEIGHT - 8, "text-anchor": "middle" }, name));
    if (alerts.length) chart.append(mark(alerts, name, x + step / 2));
    if (counts.faces) chart.append(bar(counts, name, x + step * 0.1, step * 0.8, height));
  });
  return chart;
}

/** Draw a triangle below the axis. */
function mark(alerts, name, x) {
  const y = HEIGHT - BOTTOM;
  const shape = draw("path", { class: "mark", d: `M${x} ${y} l5 7 h-10 z` });
  shape.append(draw("title", {}, `${name}: ${plural(alerts.length, "alert")}`));
  return shape;
}

function bar(counts, name, x, width, height) {
  const group = draw("g", {});
  const parts = STACK.filter((label) => counts[label]);
  const shares = parts.map((label) => `${WORDS[label].toLowerCase()} ${percent(counts[label] / counts.faces, 1)}`);
  group.append(draw("title", {}, `${name}, ${plural(counts.faces, "face")}: ${shares.join(", ")}`));
  let y = TOP + height;
  for (const label of parts) {
    const tall = (counts[label] / counts.faces) * height;
    y -= tall;
    group.append(draw("rect", { class: label, x, y, width, height: Math.max(tall - 1, 0.5) }));
  }
  return group;
}

function draw(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}
