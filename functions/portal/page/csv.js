// Results as CSV for spreadsheets.

const COLUMNS = [
  "file", "time", "prediction_id", "model_version", "face", "label", "confidence", "mask", "incorrect", "no_mask",
  "left", "top", "width", "height", "problem",
];

const BOM = "\ufeff"; // Excel recognises UTF-8 by it
// The start of what a spreadsheet would evaluate, in a cell or after a character at which some spreadsheets split cells.
const AT_START = /^(?=\s*[-=+@＝＋－＠])/;
const WITHIN = /([,;|\t"])(?=\s*[-=+@＝＋－＠])/g; // no lookbehind: Safari before 16.4 does not support it

/**
 * Format results {name, time, scale, answer} or {name, time, refusal} as CSV (RFC 4180): a line for each face, with
 * boxes in pixels of the original picture.
 */
export function asCsv(results) {
  return BOM + [COLUMNS, ...results.flatMap(lines)].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

function lines({ name, time, answer, scale, refusal }) {
  const start = [name, time.toISOString()];
  if (!answer) return [[...start, ...Array(COLUMNS.length - 3).fill(""), refusal.message]];
  const pixels = (box) => ["left", "top", "width", "height"].map((name) => (box ? Math.round(box[name] / scale) : ""));
  return (answer.faces.length ? answer.faces : [answer]).map(({ label, confidence, probabilities: p, box }, i) => [
    ...start, answer.prediction_id, answer.model_version, box ? i + 1 : "", label, confidence,
    p.mask, p.incorrect, p.no_mask, ...pixels(box), "",
  ]);
}

/** Format a value as a cell that no spreadsheet evaluates; numbers stay as they are. */
export function cell(value) {
  const text = typeof value === "string" ? value.replace(AT_START, "'").replace(WITHIN, "$1'") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
