// Panels about the latest drift report: drift, accuracy and the challenger.

import { LABELS, make, percent, plural, sign, WORDS } from "./dom.js";
import { formatMinute } from "./range.js";

// By verdict: the label whose sign is shown, a title, and what it means.
const VERDICTS = {
  ok: ["mask", "Nothing has changed", "Pictures and predictions look as before. Only labels can show whether answers are right."],
  drift: ["no_mask", "Something has changed", "If only labels differ, people behave differently; otherwise check the camera."],
  "not enough": ["uncertain", "Too few pictures to detect a change", "Drift is tested as soon as there are enough."],
  "no baseline": ["uncertain", "Nothing to compare with", "The operator of this service can create a baseline."],
  "other version": ["uncertain", "A new model without a baseline", "Drift is not monitored until it has one."],
};

/** Panels for a report, or for null if there is none yet. */
export function drawTrust(report) {
  if (!report) return [panel("uncertain", "No drift report yet", dim("The first usually comes within an hour."))];
  return [drift(report), accuracy(report.accuracy), ...(report.challenge ? [challenge(report.challenge)] : [])];
}

function drift({ verdict, findings = [], window: { from, to }, counts }) {
  const [label, title, meaning] = VERDICTS[verdict] ?? ["uncertain", verdict, ""];
  const lines = findings.slice(0, 5).map(({ source, words, confirmed }) => (
    make("li", {}, `${confirmed ? "" : "Not confirmed: "}${source == null ? "" : `${source || "(no source)"}: `}${words}`)
  ));
  return panel(label, title, make("p", {}, meaning), make("ul", {}, ...lines),
    dim(`${formatMinute(from)} to ${formatMinute(to)} UTC · ${plural(counts.records, "record")}`));
}

const MIN_AUDITED = 30; // labels of the audit sample, to conclude anything

function accuracy({ audit, chosen, min_accuracy: minAccuracy } = {}) {
  if (audit?.n >= MIN_AUDITED) {
    const { value, low, high } = audit.accuracy;
    const [lowest, highest] = audit.bounds;
    const all = audit.n === audit.of;
    return panel(high < minAccuracy ? "no_mask" : lowest >= minAccuracy ? "mask" : "uncertain",
      `${percent(value, 1)} of ${all ? "all answers" : "the labelled audit pictures"} were right`,
      make("p", {}, `${percent(low, 1)} to ${percent(high, 1)}, from the audit sample: ${labelledOf(audit)}.`
        + (all ? "" : ` Whatever the others show, ${percent(lowest, 1)} to ${percent(highest, 1)} of the sample were right.`)),
      dim(f1(audit)));
  }
  if (!(chosen?.n > audit?.n)) {
    return panel("uncertain", "Accuracy is not known yet", dim(
      `Label the audit sample in the picture view: ${audit?.n ?? 0} of at least ${MIN_AUDITED} labels are there.`));
  }
  const [low, high] = chosen.bounds;
  return panel("uncertain", `${percent(chosen.accuracy.value, 1)} of the labelled answers were right`,
    make("p", {}, `${labelledOf(chosen)}, chosen by people, which says little about the others: between `
      + `${percent(low, 1)} and ${percent(high, 1)} of all answers were right. Label the audit sample to know more.`),
    dim(f1(chosen)));
}

const CHALLENGES = {
  "too few labels": ["uncertain", "Two models are compared"],
  "different sources": ["uncertain", "Two models answer different sources"],
  better: ["mask", "The challenging model is better"],
  worse: ["no_mask", "The challenging model is worse"],
  alike: ["mask", "Both models do equally well"],
};

/** The serving release and its challenger, side by side. */
function challenge({ shadow, live: serving, challenger, agreement, needed, verdict }) {
  const [label, title] = CHALLENGES[verdict] ?? ["uncertain", verdict];
  const rows = [["Serving", serving], ["Challenger", challenger]].map(([name, side]) => make("tr", {},
    make("th", { scope: "row" }, `${name}, ${side.model_version}`),
    ...[
      String(side.pictures),
      ...LABELS.map((one) => side.pictures ? percent((side.labels[one] ?? 0) / side.pictures, 1) : ""),
      side.median_ms == null ? "" : `${side.median_ms} ms`,
      side.accuracy ? `${percent(side.accuracy.value, 1)} of ${side.judged}` : "not known",
    ].map((text) => make("td", {}, text))));
  const head = ["Model", "Pictures", ...LABELS.map((one) => WORDS[one]), "Median time", "Right"];
  return panel(label, title,
    make("p", {}, shadow ? "The challenger scores every picture and answers none."
      : "The challenger answers sources of its own, which may differ more than the models do. Only shadow mode shows which is better."),
    make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Both models" },
      make("table", {}, make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
        make("tbody", {}, ...rows))),
    dim([
      agreement ? `Both give ${percent(agreement.value, 1)} of the pictures the same label.` : "",
      needed ? `To detect a difference of two points, label ${needed} more of the audit sample.` : "",
    ].filter(Boolean).join(" ")));
}

const labelledOf = ({ n, of }) => `${n} of ${of} labelled`;

function f1(figures) {
  const known = LABELS.filter((label) => figures.f1[label]);
  return `F1: ${known.map((label) => `${WORDS[label].toLowerCase()} ${percent(figures.f1[label].value)}`).join(", ")}`;
}

const dim = (text) => make("p", { className: "dim" }, text);

function panel(label, title, ...content) {
  return make("section", { className: "panel", "aria-label": title }, make("h2", {}, sign(label), title), ...content);
}
