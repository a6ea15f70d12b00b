// Results as a table that spreadsheets read.

const HEAD = [
  "file", "time", "prediction_id", "model_version", "face", "label", "confidence", "mask", "incorrect", "no_mask",
  "left", "top", "width", "height", "problem",
];

/**
 * CSV (RFC 4180) of results {name, time, scale, answer} or {name, time, refusal}: a line for each face, boxes in
 * pixels of the original.
 */
export function asCsv(results) {
  return [HEAD, ...results.flatMap(lines)].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

function lines({ name, time, answer, scale, refusal }) {
  const start = [name, time.toISOString()];
  if (!answer) return [[...start, ...Array(HEAD.length - 3).fill(""), refusal.message]];
  const pixels = (box) => ["left", "top", "width", "height"].map((name) => (box ? Math.round(box[name] / scale) : ""));
  return (answer.faces.length ? answer.faces : [answer]).map(({ label, confidence, probabilities: p, box }, i) => [
    ...start, answer.prediction_id, answer.model_version, box ? i + 1 : "", label, confidence,
    p.mask, p.incorrect, p.no_mask, ...pixels(box), "",
  ]);
}

function cell(value) {
  let text = String(value);
  if (/^[=+@\t\r-]/.test(text)) text = `'${text}`; // a spreadsheet would run it; no number here is below zero
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
