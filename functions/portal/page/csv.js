// Results as a table that spreadsheets read.

const COLUMNS = [
  "file", "time", "prediction_id", "model_version", "face", "label", "confidence", "mask", "incorrect", "no_mask",
  "left", "top", "width", "height", "problem",
];

const BOM = "\ufeff"; // by which Excel knows UTF-8
// What a spreadsheet would compute, at the beginning of a cell or after what may part cells where it is not a comma.
const AT_START = /^(?=\s*[-=+@＝＋－＠])/;
const WITHIN = /([,;|\t"])(?=\s*[-=+@＝＋－＠])/g; // no lookbehind: Safari before 16.4 knows none

/**
 * CSV (RFC 4180) of results {name, time, scale, answer} or {name, time, refusal}: a line for each face, boxes in
 * pixels of the original.
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

/** A value as a cell that no spreadsheet computes; numbers stay as they are. */
export function cell(value) {
  const text = typeof value === "string" ? value.replace(AT_START, "'").replace(WITHIN, "$1'") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
