"""Renders a report as a self-contained HTML page."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift import challenge as challenges
from functions.drift import charts, evidently_report
from functions.drift.compare import DRIFT, NEW, NOT_ENOUGH, OK, SILENT, SUSPECTED
from functions.drift.effects import CONFIDENCE_DROP, MIN_EFFECTIVE, PREDICTION, SPREAD
from functions.drift.features import CONFIDENCE, FEATURES, INPUTS, TITLES, format_value, merge
from functions.drift.feedback_join import low_accuracy
from functions.drift.report import NO_BASELINE, OTHER_VERSION
from functions.shared.contract import LABELS, NO_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from functions.drift.accuracy import Figures
    from functions.drift.baseline import Baseline, Reference
    from functions.drift.challenge import Challenge, ReleaseStatistics
    from functions.drift.compare import DriftComparison, Finding
    from functions.drift.features import Sample
    from functions.drift.report import Report
    from functions.shared.statistics import Share

_STYLE: Final = Path(__file__).with_name("report.css")
_VERDICTS: Final[Mapping[str, str]] = {
    OK: "Nothing has changed",
    DRIFT: "The pictures, the predictions or the sources have changed",
    NOT_ENOUGH: "There are too few predictions to compare",
    NO_BASELINE: "There is no baseline to compare with",
    OTHER_VERSION: "The baseline is of another release than the serving one",
}
_WHAT_TO_DO: Final[Mapping[str, str]] = {
    OK: "Pictures and answers resemble those of the baseline. Only labels can show whether the answers are right.",
    DRIFT: "Check the confirmed findings below, source by source. If pictures differ at one source, check that "
    "camera first. If only labels differ, people probably behave differently; if pictures differ everywhere, the "
    "model may be out of date. In both cases, label pictures of the audit sample since then before you retrain.",
    NOT_ENOUGH: "A source is compared as soon as a day has enough independent predictions.",
    NO_BASELINE: "Write a baseline of two good weeks: make baseline.",
    OTHER_VERSION: "Drift is not monitored until there is a baseline of the serving release. Label its audit sample, "
    "which shows whether its answers are right, before you write a baseline.",
}
_LOW_ACCURACY: Final = "Too many answers of release {} are wrong"
_ON_LOW_ACCURACY: Final = (
    "Roll back if the release is new; otherwise see AccuracyAlarm in the runbook. "
    "Do not write a baseline of this period."
)
_STATUSES: Final[Mapping[str, str]] = {
    OK: "unchanged",
    SUSPECTED: "one day differs",
    DRIFT: "changed",
    SILENT: "sends nothing",
    NEW: "new, no reference yet",
    NOT_ENOUGH: "too few",
    NO_BASELINE: "not compared",
}
_NOT_COMPARED: Final = "Only predictions of the baseline's release are compared."
_NAMES: Final[Mapping[str, str]] = {"mask": "mask", "no_mask": "no mask", "incorrect": "worn wrongly"}
_MAX_PANELS: Final = 8  # per source
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:; font-src data:"
)
_UNPACK: Final = """
const details = document.querySelector("details");
details.addEventListener("toggle", async () => {
  const packed = Uint8Array.from(atob(document.getElementById("evidently").textContent), (c) => c.charCodeAt(0));
  const text = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  details.querySelector("iframe").srcdoc = await new Response(text).text();
}, { once: true });
"""


def render(report: Report, window: Mapping[str, Sample], baseline: Baseline | None) -> str:
    """Return the page of a report; `window` has the samples that were compared, by source."""
    body = [*_head(report), *_notes(report.notes)]
    if baseline and (comparison := report.comparison):
        body += [*_findings(comparison, report.verdict), *_sources(report, baseline)]
        body += _panels(comparison.findings, window, baseline)
    body += [*_challenge(report.challenge), *_accuracy(report)]
    together = merge(window.values())
    if baseline and together.effective >= MIN_EFFECTIVE:
        body += _evidently(together, baseline.overall)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width"><title>MaskWatch: drift report</title>'
        f"<style>{_STYLE.read_text(encoding='utf-8')}</style></head><body><main>{''.join(body)}</main></body></html>"
    )


def _head(report: Report) -> Iterator[str]:
    window, audit = report.window, report.accuracy.audit
    compared = sum(source.predictions for source in report.sources.values())
    predictions = f"{report.counts.records:,}"
    if compared < report.counts.records:
        predictions += f", {compared:,} of them compared"
    effective = sum(source.effective for source in report.sources.values())
    changed = sum(source.status in {DRIFT, SILENT} for source in report.sources.values())
    figures = {
        "Window, UTC": f"{window.start:%-d %b %Y %H:%M} to {window.end:%-d %b %Y %H:%M}",
        "Predictions": f"{predictions}; {effective:,.0f} independent",
        "Sources": f"{len(report.sources)}" + (f", {changed} of them changed" if changed else ""),
        "Baseline of release": report.baseline.model_version if report.baseline else "none",
        "Accuracy by audit sample": f"{_share(audit.accuracy)}, {audit.n} of {audit.total} labelled"
        if audit.n
        else "nothing labelled yet",
    }
    style, headline, advice = _headline(report)
    yield (
        f'<h1>MaskWatch drift report</h1><div class="verdict {style}">{headline}</div><p>{advice}</p>'
        '<dl class="facts">'
    )
    for name, value in figures.items():
        yield f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl>"


def _headline(report: Report) -> tuple[str, str, str]:
    """Return the CSS class, the headline and the advice; wrong answers take precedence over all but drift."""
    if report.verdict != DRIFT and low_accuracy(report.accuracy, report.min_accuracy, report.serving_version):
        return DRIFT, _LOW_ACCURACY.format(escape(report.serving_version or "")), _ON_LOW_ACCURACY
    return report.verdict.replace(" ", "-"), _VERDICTS[report.verdict], _WHAT_TO_DO[report.verdict]


def _notes(notes: Iterable[str]) -> Iterator[str]:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    if items:
        yield f'<ul class="box notes">{items}</ul>'


def _findings(comparison: DriftComparison, verdict: str) -> Iterator[str]:
    yield "<h2>What has changed</h2>"
    if not comparison.findings:
        none = f"None of {comparison.tests:,} comparisons shows a change that is both unlikely and large."
        why = _NOT_COMPARED if verdict == OTHER_VERSION else "There are too few predictions to compare."
        yield f"<p>{none if comparison.tests else why}</p>"
        return
    yield (
        "<p>A finding is confirmed, and raises the alarm, if two days or the mean of the last days show it. Findings "
        "of a single day or of a new source are for information.</p>"
        '<div class="box"><table><thead><tr><th>Where</th><th>What</th><th>Confirmed</th>'
        '<th class="number">Effect</th><th>Effect and limit</th><th class="number">p-value</th></tr></thead>'
        "<tbody>"
    )
    for finding in comparison.findings:
        words = finding.words[0].upper() + finding.words[1:]
        yield (
            f'<tr><td class="where">{_where(finding.source)}</td><td class="words">{escape(words)}.</td>'
            f"<td>{_confirmation(finding, comparison.days)}</td>"
            f'<td class="number">{_amount(finding)}</td><td>{charts.meter(finding.effect, finding.limit)}</td>'
            f'<td class="number">{"&lt; 0.0001" if finding.p < 1e-4 else f"{finding.p:.4f}"}</td></tr>'
        )
    yield "</tbody></table></div>"


def _confirmation(finding: Finding, days: int) -> str:
    evidence = f"{finding.days} of {days} days" if finding.days else "only the window"
    if finding.lasting:
        evidence = f"the mean of {days} days" + (f", {evidence}" if finding.days else "")
    return f'<b class="drift">yes</b>, {evidence}' if finding.confirmed else f"not yet: {evidence}"


def _where(source: str | None) -> str:
    if source is None:  # formatted unlike the name of a source
        return '<span class="soft">all sources</span>'
    return escape(source) if source else f'<span class="soft">{NO_SOURCE}</span>'


def _amount(finding: Finding) -> str:
    if finding.kind == SILENT:
        return f'{finding.effect:.0f} <span class="unit">days</span>'
    if finding.kind in {PREDICTION, CONFIDENCE_DROP}:
        return f'{finding.effect * 100:.1f} <span class="unit">points</span>'
    if finding.statistic == SPREAD:
        return f'{np.expm1(finding.effect):.0%} <span class="unit">of the spread</span>'
    return f'{finding.effect:.2f} <span class="unit">SD</span>'


def _sources(report: Report, baseline: Baseline) -> Iterator[str]:
    colours = "".join(f'<span><i class="{label}"></i>{_NAMES[label]}</span>' for label in LABELS)
    yield (
        f'<h2>Sources</h2><div class="key">{colours}</div><div class="box"><table><thead><tr><th>Source</th>'
        '<th class="number">Predictions</th><th class="number">Independent</th><th>Labels</th><th>Compared with</th>'
        "<th>Status</th></tr></thead><tbody>"
    )
    overall = baseline.overall
    yield _row("Baseline", overall.count, overall.moments.effective, overall.label_counts(), "", "")
    for name, source in report.sources.items():
        own = baseline.sources.get(name)
        compared = (
            f"{own.days.count if own.days else 0} days of its own" if own else "no reference of its own"
        )
        status = NO_BASELINE if report.verdict == OTHER_VERSION and not source.predictions else source.status
        mark = f'<span class="{status.replace(" ", "-")}">{_STATUSES[status]}</span>'
        yield _row(_where(name), source.predictions, source.effective, source.labels, compared, mark)
    yield "</tbody></table></div>"


def _row(name: str, count: int, effective: float, labels: Mapping[str, int], compared: str, mark: str) -> str:
    return (
        f'<tr><td class="where">{name}</td><td class="number">{count:,}</td><td class="number">{effective:,.0f}</td>'
        f'{_label_bar(labels)}<td>{compared}</td><td class="mark">{mark}</td></tr>'
    )


def _label_bar(labels: Mapping[str, int]) -> str:
    total = max(sum(labels.values()), 1)
    parts = {label: labels.get(label, 0) / total for label in LABELS}
    title = ", ".join(f"{_NAMES[label]} {share:.1%}" for label, share in parts.items())
    return f'<td title="{title}">{charts.shares(list(parts.items()), title)}</td>'


def _panels(findings: Iterable[Finding], window: Mapping[str, Sample], baseline: Baseline) -> Iterator[str]:
    """Draw the features of each source with findings, and of all sources pooled if no source has a reference."""
    drawn: list[tuple[str | None, Sample, Reference, list[str]]] = []
    if not baseline.sources and window:
        drawn.append((None, merge(window.values()), baseline.overall, [*INPUTS, CONFIDENCE]))
    for name, sample in window.items():
        own = [finding.feature for finding in findings if finding.source == name]
        changed = [feature for feature in own if feature in FEATURES]
        reference = baseline.sources.get(name, baseline.overall)
        if changed:
            drawn.append((name, sample, reference, list(dict.fromkeys(changed))[:_MAX_PANELS]))
    if not drawn:
        return
    yield (
        '<h2>Pictures and predictions, reference and current</h2><div class="key">'
        '<span><i class="reference"></i>baseline</span><span><i class="current"></i>this window</span></div>'
    )
    for where, sample, reference, features in drawn:
        changed_features = {finding.feature for finding in findings if finding.source == where}
        yield f'<h3>{_where(where)}</h3><div class="panels">'
        for feature in features:
            yield _panel(sample, reference, feature, changed=feature in changed_features)
        yield "</div>"


def _panel(sample: Sample, reference: Reference, feature: str, *, changed: bool) -> str:
    current = sample.values[:, FEATURES.index(feature)]
    expected = (
        reference.confidence_at(sample.label_counts()) if feature == CONFIDENCE else reference.column(feature)
    )
    title = TITLES.get(feature, feature)
    ends = [format_value(feature, end) for end in charts.bounds(expected, current)]
    means = (format_value(feature, float(values.mean())) for values in (expected, current))
    sentence = f"{title}: the mean was {' and is '.join(means)}"
    return (
        f'<section class="panel{" changed" * changed}"><header><b>{title[0].upper()}{title[1:]}</b></header>'
        f"{charts.histogram(expected, current, sentence, ends)}</section>"
    )


def _challenge(challenge: Challenge | None) -> Iterator[str]:
    if challenge is None:
        return
    yield (
        f"<h2>The challenger</h2><p>{escape(challenges.describe(challenge.to_dict()))}</p>"
        '<div class="box"><table><thead><tr><th>Release</th><th class="number">Pictures</th><th>Labels</th>'
        '<th class="number">Median</th><th class="number">p95</th><th class="number">Labelled</th>'
        '<th class="number">Accuracy</th></tr></thead><tbody>'
    )
    yield _release_row("serving", challenge.serving)
    yield _release_row("challenger", challenge.challenger)
    yield "</tbody></table></div>"
    if challenge.disagreements:
        pairs = (
            f"{_NAMES.get(a, a)} instead of {_NAMES.get(b, b)}: {n:,}" for b, a, n in challenge.disagreements
        )
        yield f"<p>Where they differ, the challenger answers {'; '.join(pairs)}.</p>"


def _release_row(name: str, release: ReleaseStatistics) -> str:
    times = "".join(
        f'<td class="number">{"" if value is None else f"{value:.1f} ms"}</td>'
        for value in (release.median_ms, release.p95_ms)
    )
    return (
        f'<tr><td class="where">{name}, {escape(release.model_version)}</td>'
        f'<td class="number">{release.pictures:,}</td>{_label_bar(release.labels)}{times}'
        f'<td class="number">{release.labelled:,}</td><td class="number">{_share(release.accuracy)}</td></tr>'
    )


def _accuracy(report: Report) -> Iterator[str]:
    accuracy = report.accuracy
    if not accuracy.chosen.n:
        return
    yield (
        f"<h2>Accuracy by feedback</h2><p>Predictions since {report.labelled_since}. In brackets: the 95% interval, "
        "which treats the frames of a source and minute as the same people. The audit sample is random: if all of it "
        "is labelled, its accuracy is that of all predictions. Only the audit sample raises an alarm. Labels of "
        "pictures that people chose are biased; the bounds hold whatever they chose.</p>"
        '<div class="box"><table><thead><tr><th>Predictions</th><th class="number">Labelled</th>'
        '<th class="number">Accuracy</th><th class="number">Bounds of the accuracy of all</th>'
    )
    yield "".join(f'<th class="number">F1, {_NAMES[label]}</th>' for label in LABELS)
    yield "</tr></thead><tbody>"
    rows = [
        ("Audit sample, all releases", accuracy.audit),
        *(
            (f"Audit sample, release {escape(name)}", figures)
            for name, figures in accuracy.model_versions.items()
        ),
        ("All labels, all sources", accuracy.chosen),
        *((f"All labels, {_where(name)}", figures) for name, figures in accuracy.sources.items()),
    ]
    for name, figures in rows:
        yield _accuracy_row(name, figures)
    yield "</tbody></table></div>"


def _accuracy_row(name: str, figures: Figures) -> str:
    cells = "".join(f'<td class="number">{_share(figures.f1[label])}</td>' for label in LABELS)
    bounds = f"{figures.bounds[0]:.1%} to {figures.bounds[1]:.1%}" if figures.bounds else ""
    return (
        f'<tr><td class="where">{name}</td><td class="number">{figures.n:,} of {figures.total:,}</td>'
        f'<td class="number">{_share(figures.accuracy)}</td><td class="number">{bounds}</td>{cells}</tr>'
    )


def _share(share: Share | None) -> str:
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})" if share else "not labelled"


def _evidently(together: Sample, reference: Reference) -> Iterator[str]:
    packed = evidently_report.pack(together, reference)
    yield (
        "<details><summary>Evidently's report</summary><p>All predictions pooled, each feature by itself: the "
        "normed Wasserstein distance, and the Jensen-Shannon distance of the labels. It does not account for "
        "sources, days, labels or chance; the findings above do.</p>"
        '<iframe title="Evidently" sandbox="allow-scripts"></iframe>'
        f'</details><script type="text/plain" id="evidently">{packed}</script><script>{_UNPACK}</script>'
    )
