// What the latest look at drift and accuracy says, in words.

import { LABELS, make, percent, plural, sign, WORDS } from "./dom.js";
import { spell } from "./range.js";

// By the verdict: the sign of which label, what it means, and what to do.
const VERDICTS = {
  ok: ["mask", "Nothing has changed", "What cameras see is still like it was. Whether answers are right, labels tell."],
  drift: ["no_mask", "Something has changed", "If labels alone differ, people behave differently; else look at the camera."],
  "not enough": ["uncertain", "Too few pictures to tell a change", "Drift is judged as soon as there are enough."],
  "no baseline": ["uncertain", "Nothing to compare with", "Whoever runs this service can write a baseline."],
  "other version": ["uncertain", "A new model without a baseline", "Nothing watches for drift until it has one."],
};

/** Panels about drift and accuracy for a report, or for null where there is none. */
export function drawTrust(report) {
  if (!report) return [panel("uncertain", "No drift report yet", dim("The first comes within the hour, as a rule."))];
  return [drift(report), accuracy(report.accuracy), ...(report.challenge ? [challenge(report.challenge)] : [])];
}

function drift({ verdict, findings = [], window: { from, to }, counts }) {
  const [label, title, meaning] = VERDICTS[verdict] ?? ["uncertain", verdict, ""];
  const lines = findings.slice(0, 5).map(({ source, words, confirmed }) => (
    make("li", {}, `${confirmed ? "" : "Not confirmed: "}${source == null ? "" : `${source || "(no source told)"}: `}${words}`)
  ));
  return panel(label, title, make("p", {}, meaning), make("ul", {}, ...lines),
    dim(`${moment(from)} to ${moment(to)} UTC · ${plural(counts.records, "record")}`));
}

function accuracy({ audit, chosen, min_accuracy: least } = {}) {
  if (audit?.n) {
    const { value, low, high } = audit.accuracy;
    return panel(high < least ? "no_mask" : "mask", `${percent(value, 1)} of all answers were right`,
      make("p", {}, `${percent(low, 1)} to ${percent(high, 1)}, from the audit sample: ${judged(audit)}, drawn at random.`),
      dim(f1(audit)));
  }
  if (!chosen?.n) {
    return panel("uncertain", "Accuracy is not known yet", dim("Say below a picture what is right."));
  }
  const [low, high] = chosen.bounds;
  return panel("uncertain", `${percent(chosen.accuracy.value, 1)} of the judged answers were right`,
    make("p", {}, `${judged(chosen)}, chosen by people, which says little about the others: of all answers between `
      + `${percent(low, 1)} and ${percent(high, 1)} were right. Judge what is drawn for checking to know more.`),
    dim(f1(chosen)));
}

const CHALLENGES = {
  "too few labels": ["uncertain", "Two models are compared"],
  better: ["mask", "The challenging model is better"],
  worse: ["no_mask", "The challenging model is worse"],
  alike: ["mask", "Both models do equally well"],
};

/** The release that serves and the one that challenges it, side by side. */
function challenge({ shadow, live, challenger, agreement, verdict }) {
  const [label, title] = CHALLENGES[verdict] ?? ["uncertain", verdict];
  const rows = [["Live", live], ["Challenger", challenger]].map(([name, side]) => make("tr", {},
    make("th", { scope: "row" }, `${name}, ${side.model_version}`),
    ...[
      String(side.pictures),
      ...LABELS.map((one) => side.pictures ? percent((side.labels[one] ?? 0) / side.pictures, 1) : ""),
      side.median_ms == null ? "" : `${side.median_ms} ms`,
      side.accuracy ? `${percent(side.accuracy.value, 1)} of ${side.judged}` : "not known",
    ].map((text) => make("td", {}, text))));
  const head = ["Model", "Pictures", ...LABELS.map((one) => WORDS[one]), "Median time", "Right"];
  const needed = shadow ? `${challenger.needed}`
    : `${challenger.needed} of the challenger's pictures and ${live.needed} of the live model's`;
  return panel(label, title,
    make("p", {}, shadow ? "The challenger scores every picture and answers none." : "The challenger answers sources of its own."),
    make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Both models" },
      make("table", {}, make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
        make("tbody", {}, ...rows))),
    dim([
      agreement ? `Both say the same of ${percent(agreement.value, 1)} of the pictures.` : "",
      verdict === "too few labels" ? `To tell a difference of two points, judge ${needed} more that are drawn for checking.` : "",
    ].filter(Boolean).join(" ")));
}

const judged = ({ n, of }) => `${n} judged of ${of}`;

function f1(figures) {
  const known = LABELS.filter((label) => figures.f1[label]);
  return `F1: ${known.map((label) => `${WORDS[label].toLowerCase()} ${percent(figures.f1[label].value)}`).join(", ")}`;
}

const moment = (time) => spell(time, "minute").replace("T", " ");
const dim = (text) => make("p", { className: "dim" }, text);

function panel(label, title, ...content) {
  return make("section", { className: "panel", "aria-label": title }, make("h2", {}, sign(label), title), ...content);
}
