// What the latest look at drift and accuracy says, in words.

import { LABELS, make, percent, plural, sign, WORDS } from "./dom.js";
import { spell } from "./range.js";

// By the verdict: the sign of which label, what it means, and what to do.
const VERDICTS = {
  ok: ["mask", "Nothing has changed", "What cameras see is still like what the model was measured with."],
  drift: ["no_mask", "What cameras see has changed", "See what; if it is to stay, train the model with such pictures."],
  "not enough": ["uncertain", "Too few pictures to tell a change", "Drift is judged as soon as there are enough."],
  "no baseline": ["uncertain", "Nothing to compare with", "The model has no baseline: write one, by make baseline."],
};

/** Panels about drift and accuracy for a report, or for null where there is none. */
export function drawTrust(report) {
  if (!report) return [panel("uncertain", "No drift report yet", dim("The first comes within the hour, as a rule."))];
  return [drift(report), accuracy(report.truth?.overall, report.truth?.min_accuracy)];
}

function drift({ verdict, findings = [], window: { from, to }, counts }) {
  const [label, title, meaning] = VERDICTS[verdict] ?? ["uncertain", verdict, ""];
  const lines = findings.slice(0, 5).map(({ source, words }) => (
    make("li", {}, source == null ? words : `${source || "(no source told)"}: ${words}`)
  ));
  return panel(label, title, make("p", {}, meaning), make("ul", {}, ...lines),
    dim(`${moment(from)} to ${moment(to)} UTC · ${plural(counts.records, "record")}`));
}

function accuracy(truth, least) {
  if (!truth?.n) {
    return panel("uncertain", "Accuracy is not known yet", dim("Say below a picture what is right."));
  }
  const { value, low, high } = truth.accuracy;
  const known = LABELS.filter((label) => truth.f1[label]);
  const each = known.map((label) => `${WORDS[label].toLowerCase()} ${percent(truth.f1[label].value)}`);
  return panel(high < least ? "no_mask" : "mask", `${percent(value, 1)} of answers were right`,
    make("p", {}, `${percent(low, 1)} to ${percent(high, 1)}, from ${plural(truth.n, "answer")} whose truth is known.`),
    dim(`F1: ${each.join(", ")}`));
}

const moment = (time) => spell(time, "minute").replace("T", " ");
const dim = (text) => make("p", { className: "dim" }, text);

function panel(label, title, ...content) {
  return make("section", { className: "panel", "aria-label": title }, make("h2", {}, sign(label), title), ...content);
}
