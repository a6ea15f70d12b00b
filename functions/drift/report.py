"""What a run of Drift tells: a page for people, which needs nothing but itself, and the same as JSON."""

from __future__ import annotations

import base64
import gzip
from collections import Counter
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from functions.drift import charts
from functions.drift.compare import CONFIDENCE_DROP, EMBEDDING, FEWEST, LABEL, LIMITS, PREDICTION
from functions.drift.features import CONFIDENCE, FEATURES, INPUTS, TITLES, shown
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from functions.drift.baseline import Baseline, Sketch
    from functions.drift.compare import Comparison, Finding
    from functions.drift.features import Sample

NO_BASELINE: Final = "no baseline"
_STYLE: Final = Path(__file__).with_name("report.css")
_VERDICTS: Final[Mapping[str, str]] = {
    "ok": "Nothing has changed",
    "drift": "The pictures or the predictions have changed",
    "not enough": "Too few predictions to tell",
    NO_BASELINE: "There is no baseline to compare with",
}
_NAMES: Final[Mapping[str, str]] = {"mask": "mask", "no_mask": "no mask", "incorrect": "worn wrongly"}
_UNPACK: Final = """
const details = document.querySelector("details");
details.addEventListener("toggle", async () => {
  const packed = Uint8Array.from(atob(document.getElementById("evidently").textContent), (c) => c.charCodeAt(0));
  const text = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  details.querySelector("iframe").srcdoc = await new Response(text).text();
}, { once: true });
"""


def render(
    facts: Mapping[str, Any],
    samples: Mapping[str, Sample],
    overall: Sample,
    baseline: Baseline | None,
    comparison: Comparison | None,
) -> tuple[str, dict[str, Any]]:
    """Return the page, and what is in it as JSON.

    Args:
        facts: What is known without the comparison: window, counts, truth, notes (sentences) and baseline.
        samples: The window's predictions by source.
        overall: All of them.
        baseline: What they were compared with, if anything.
        comparison: What came of it, if there was a baseline.
    """
    told = _as_json(facts, samples, overall, comparison)
    body = [*_head(told), *_notes(told["notes"])]
    if baseline and comparison:
        body += [*_findings(comparison), *_sources(samples, comparison, baseline)]
        if comparison.verdict != "not enough":
            body += _panels(samples, overall, baseline, comparison)
    body += _truth(told["truth"])
    if baseline and len(overall.labels) >= FEWEST:
        body += _evidently(overall, baseline.everything)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>MaskWatch: drift report</title>'
        f"<style>{_STYLE.read_text()}</style></head><body><main>{''.join(body)}</main></body></html>"
    )
    return page, told


def _as_json(
    facts: Mapping[str, Any], samples: Mapping[str, Sample], overall: Sample, comparison: Comparison | None
) -> dict[str, Any]:
    return {
        **facts,
        "verdict": comparison.verdict if comparison else NO_BASELINE,
        "findings": [
            {
                "source": finding.source,
                "feature": finding.feature,
                "kind": finding.kind,
                "effect": round(finding.effect, 4),
                "limit": LIMITS[finding.kind],
                "p": finding.p,
                "words": finding.words,
            }
            for finding in (comparison.findings if comparison else ())
        ],
        "effects": {kind: round(effect, 4) for kind, effect in comparison.effects.items()}
        if comparison
        else {},
        "predictions": {"seen": overall.seen, "compared": len(overall.labels), "labels": _counts(overall)},
        "sources": {
            name: {
                "verdict": comparison.sources[name] if comparison else NO_BASELINE,
                "predictions": sample.seen,
                "labels": _counts(sample),
            }
            for name, sample in samples.items()
        },
    }


def _counts(sample: Sample) -> dict[str, int]:
    counted = Counter(sample.labels)
    return {label: counted[label] for label in LABELS}


def _head(told: Mapping[str, Any]) -> Iterator[str]:
    verdict = told["verdict"]
    changed = [name for name, source in told["sources"].items() if source["verdict"] == "drift"]
    window, seen = told["window"], told["predictions"]
    accuracy = told["truth"]["overall"]["accuracy"]
    figures = {
        "Window, UTC": f"{_time(window['from'])} to {_time(window['to'])}",
        "Predictions": f"{seen['seen']:,}"
        + (f" ({seen['compared']:,} drawn to compare)" if seen["compared"] < seen["seen"] else ""),
        "Sources": f"{len(told['sources'])}" + (f", of which {len(changed)} changed" if changed else ""),
        "Baseline of model": told["baseline"]["model_version"] if told["baseline"] else "none",
        "Accuracy by feedback": _share(accuracy) if accuracy else "no feedback",
    }
    yield (
        f'<h1>MaskWatch drift report</h1><div class="verdict {verdict.replace(" ", "-")}">{_VERDICTS[verdict]}</div>'
        '<dl class="facts">'
    )
    for name, value in figures.items():
        yield f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl>"


def _time(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%-d %b %Y %H:%M}"


def _notes(notes: Iterable[str]) -> Iterator[str]:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    if items:
        yield f'<ul class="box notes">{items}</ul>'


def _findings(comparison: Comparison) -> Iterator[str]:
    yield "<h2>What has changed</h2>"
    if not comparison.findings:
        none = f"None of {len(comparison.tests)} comparisons shows a change that is both unlikely and large."
        yield f"<p>{none if comparison.tests else f'Fewer than {FEWEST} predictions are not compared.'}</p>"
        return
    yield (
        '<div class="box"><table><thead><tr><th>Where</th><th>What</th><th class="number">By how much</th>'
        '<th>Against the limit</th><th class="number">Chance, p</th></tr></thead><tbody>'
    )
    for finding in comparison.findings:
        words = finding.words[0].upper() + finding.words[1:]
        yield (
            f'<tr><td class="where">{_where(finding.source)}</td><td class="words">{escape(words)}.</td>'
            f'<td class="number">{_amount(finding)}</td><td>{charts.meter(finding.effect, LIMITS[finding.kind])}</td>'
            f'<td class="number">{"&lt; 0.0001" if finding.p < 1e-4 else f"{finding.p:.4f}"}</td></tr>'
        )
    yield "</tbody></table></div>"


def _where(source: str | None) -> str:
    if source is None:
        return "All together"
    return escape(source) if source else '<span class="soft">no source told</span>'


def _amount(finding: Finding) -> str:
    if finding.kind in {PREDICTION, CONFIDENCE_DROP}:
        return f'{finding.effect * 100:.1f} <span class="unit">points</span>'
    return f'{finding.effect:.2f} <span class="unit">SD</span>'


def _sources(samples: Mapping[str, Sample], comparison: Comparison, baseline: Baseline) -> Iterator[str]:
    colours = "".join(f'<span><i class="{label}"></i>{_NAMES[label]}</span>' for label in LABELS)
    yield (
        f'<h2>Sources</h2><div class="key">{colours}</div><div class="box"><table><thead><tr><th>Source</th>'
        '<th class="number">Predictions</th><th>Labels</th><th>Compared with</th><th>Verdict</th></tr></thead><tbody>'
    )
    then = baseline.everything
    total = sum(then.labels.values())
    parts = {label: number / total for label, number in then.labels.items()}
    yield _row("Baseline", then.count, parts, "", "")
    for name, sample in samples.items():
        counts, verdict = _counts(sample), comparison.sources[name]
        parts = {label: number / max(len(sample.labels), 1) for label, number in counts.items()}
        own = "its own past" if name in baseline.sources else "the whole baseline"
        mark = (
            f'<span class="{verdict.replace(" ", "-")}">{"changed" if verdict == "drift" else verdict}</span>'
        )
        yield _row(_where(name), sample.seen, parts, own, mark)
    yield "</tbody></table></div>"


def _row(name: str, seen: int, parts: Mapping[str, float], compared: str, mark: str) -> str:
    title = ", ".join(f"{_NAMES[label]} {share:.1%}" for label, share in parts.items())
    return (
        f'<tr><td class="where">{name}</td><td class="number">{seen:,}</td><td title="{title}">'
        f'{charts.shares(list(parts.items()), title)}</td><td>{compared}</td><td class="mark">{mark}</td></tr>'
    )


def _panels(
    samples: Mapping[str, Sample], overall: Sample, baseline: Baseline, comparison: Comparison
) -> Iterator[str]:
    yield (
        '<h2>How pictures and predictions were, and are</h2><div class="key">'
        '<span><i class="then"></i>baseline</span>'
        '<span><i class="now"></i>this window</span><span>SD: by how many standard deviations of '
        "the baseline values have moved</span></div>"
    )
    tests = {(test.source, test.feature): test for test in comparison.tests}
    if len(overall.labels) >= FEWEST:
        yield '<div class="panels">'
        for feature in (*INPUTS, CONFIDENCE):
            yield _panel(overall, baseline.everything, tests[None, feature])
        yield "</div>"
    for name, sample in samples.items():
        changed = [
            test for (source, feature), test in tests.items()
            if source == name and test.significant and feature in FEATURES
        ]  # fmt: skip
        if changed:
            yield f'<h3>What changed at {_where(name)}</h3><div class="panels">'
            for test in sorted(changed, key=lambda test: (test.kind == EMBEDDING, -test.effect))[:8]:
                yield _panel(sample, baseline.sources.get(name, baseline.everything), test)
            yield "</div>"


def _panel(sample: Sample, reference: Sketch, test: Finding) -> str:
    feature = test.feature
    now = sample.values[:, FEATURES.index(feature)]
    then = (
        reference.confidence_at(Counter(sample.labels))
        if feature == CONFIDENCE
        else reference.column(feature)
    )
    title = TITLES.get(feature, feature.replace("_", " "))
    ends = [shown(feature, end) for end in charts.bounds(then, now)]
    told = f"{title}: {test.words}"
    return (
        f'<section class="panel{" changed" * test.significant}"><header><b>{title[0].upper()}{title[1:]}</b>'
        f"<span>{_amount(test)}</span></header>{charts.histogram(then, now, told, ends)}</section>"
    )


def _truth(truth: Mapping[str, Any]) -> Iterator[str]:
    overall = truth["overall"]
    if not overall["n"]:
        return
    yield (
        f"<h2>What people said</h2><p>{overall['n']:,} predictions were judged. In brackets: the 95% interval.</p>"
        '<div class="box"><table><thead><tr><th>Of</th><th class="number">Judged</th><th class="number">Accuracy</th>'
    )
    yield "".join(f'<th class="number">F1, {_NAMES[label]}</th>' for label in LABELS)
    yield "</tr></thead><tbody>"
    rows = {"All together": overall, **{_where(name): told for name, told in truth["sources"].items()}}
    for name, told in rows.items():
        cells = "".join(f'<td class="number">{_share(told["f1"][label])}</td>' for label in LABELS)
        yield (
            f'<tr><td class="where">{name}</td><td class="number">{told["n"]:,}</td>'
            f'<td class="number">{_share(told["accuracy"])}</td>{cells}</tr>'
        )
    yield "</tbody></table></div>"


def _share(told: Mapping[str, float] | None) -> str:
    return f"{told['value']:.1%} ({told['low']:.1%} to {told['high']:.1%})" if told else "none"


def _evidently(overall: Sample, reference: Sketch) -> Iterator[str]:
    """Give Evidently's own report on all predictions together, packed, since it has megabytes."""
    import pandas as pd  # noqa: PLC0415 -- takes seconds to import, as Evidently does
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    labels = [label for label in LABELS for _ in range(reference.labels[label])]
    spread = np.linspace(0, len(labels) - 1, len(reference.column(CONFIDENCE))).astype(int)
    then = pd.DataFrame({feature: reference.column(feature) for feature in FEATURES}, dtype=float)
    now = pd.DataFrame(overall.values, columns=list(FEATURES), dtype=float)
    then[LABEL], now[LABEL] = [labels[place] for place in spread], list(overall.labels)
    definition = DataDefinition(numerical_columns=list(FEATURES), categorical_columns=[LABEL])
    drift = DataDriftPreset(
        drift_share=1 / (len(FEATURES) + 1),  # one column is enough
        num_method="wasserstein",
        num_threshold=LIMITS["input"],
        cat_method="jensenshannon",
        include_tests=False,
    )
    told = Report([drift]).run(
        *(Dataset.from_pandas(frame, data_definition=definition) for frame in (now, then))
    )
    packed = base64.b64encode(gzip.compress(told.get_html_str(as_iframe=False).encode())).decode()
    yield (
        "<details><summary>Evidently's report</summary><p>On all predictions together, each figure by itself: the "
        "normed Wasserstein distance, and the Jensen-Shannon distance of the labels. It knows neither correction for "
        'many tests nor chance; what counts stands above.</p><iframe title="Evidently"></iframe></details>'
        f'<script type="text/plain" id="evidently">{packed}</script><script>{_UNPACK}</script>'
    )
