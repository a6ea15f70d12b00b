"""Write the report of a run: `python -m training.report --run RUN --out FOLDER`.

Writes a self-contained `report.html` with all plots and the sheet of mistakes, a `model-card.md` with its `*.svg`,
and `report.json` with all figures. `report.html` shows people, so it does not belong in a repository.
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from functions.shared.contract import LABELS
from training.errors import reported
from training.files import (
    CONVERSION,
    GATE,
    LEAVE_ONE_OUT,
    METRICS,
    MISTAKES,
    NOTES,
    PREDICTIONS,
    SERVED,
    STATE,
)
from training.metrics import precision_recall_curve, reliability, roc_curve, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

TEMPLATES: Final = Path(__file__).with_name("templates")
STYLE: Final = TEMPLATES / "plots.mplstyle"
CARD: Final = "model-card.md"

# Distinguishable for colour-blind people, too (Okabe & Ito 2008).
COLOURS: Final = {"mask": "#0072B2", "no_mask": "#D55E00", "incorrect": "#009E73"}
_INK, _PALE = "#333333", "#bbbbbb"


def plots(
    report: Mapping[str, Any], actual: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> dict[str, Figure]:
    """Draw all plots, by name.

    Args:
        report: The content of `report.json`.
        actual: Class numbers (N,) of the test pictures.
        probabilities: Predicted probabilities (N, 3).
    """
    metrics = report["metrics"]
    with style.context(STYLE):
        drawn = {
            "confusion": _confusion(np.array(metrics["overall"]["confusion"])),
            "curves": _curves(actual, probabilities),
            "reliability": _reliability(actual, probabilities, metrics["overall"]["calibration_error"]),
            "sources": _shares({"": metrics["sources"]}, metrics["overall"]),
            "slices": _shares(metrics["slices"], metrics["overall"]),
            "corruptions": _corruptions(metrics["corruptions"], metrics["overall"]),
        }
        return drawn | ({"training": _training(report["training"])} if report["training"]["history"] else {})


def _confusion(counts: NDArray[np.int64]) -> Figure:
    figure = Figure((4.2, 3.4))
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        axes.text(
            column,
            row,
            f"{counts[row, column]:,}\n{share:.1%}",
            ha="center",
            va="center",
            color="white" if share > 0.5 else _INK,
        )
    axes.set_xticks(range(len(LABELS)), LABELS)
    axes.set_yticks(range(len(LABELS)), LABELS)
    axes.set(xlabel="predicted", ylabel="actual")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _curves(actual: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Figure:
    figure = Figure((7.6, 3.5))
    roc, recall = figure.subplots(1, 2)
    for number, label in enumerate(LABELS):
        positive = actual == number
        roc.plot(*_thinned(*roc_curve(positive, probabilities[:, number])), color=COLOURS[label], label=label)
        recall.plot(
            *_thinned(*precision_recall_curve(positive, probabilities[:, number])), color=COLOURS[label]
        )
    roc.plot([0, 1], [0, 1], color=_PALE, linewidth=0.8, linestyle=":")
    roc.set(
        xlabel="false positive rate", ylabel="true positive rate", title="ROC, each class against the rest"
    )
    recall.set(xlabel="recall", ylabel="precision", title="Precision and recall", ylim=(0, 1.02))
    roc.legend(loc="lower right")
    return figure


def _thinned(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return some 500 points of a curve, denser at its start, where it bends."""
    chosen = np.unique(np.r_[np.arange(min(len(x), 250)), np.linspace(0, len(x) - 1, 250).astype(int)])
    return x[chosen], y[chosen]


def _reliability(actual: NDArray[np.int64], probabilities: NDArray[np.float64], error: float) -> Figure:
    figure = Figure((4.2, 4.4))
    axes, histogram = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    confidences, accuracies, counts = reliability(
        probabilities.max(axis=1), probabilities.argmax(axis=1) == actual
    )
    filled = counts > 0
    low, high = np.transpose(
        [
            wilson_interval(round(a * n), n)
            for a, n in zip(accuracies[filled], counts[filled].tolist(), strict=True)
        ]
    )
    axes.plot([0, 1], [0, 1], color=_PALE, linewidth=0.8, linestyle=":")
    axes.vlines(confidences[filled], low, high, color=COLOURS["mask"], alpha=0.4)
    axes.plot(confidences[filled], accuracies[filled], "o-", color=COLOURS["mask"], markersize=4)
    axes.set(ylabel="share that was right", ylim=(0, 1.02), title=f"Calibration error {error:.3f}")
    histogram.bar(
        (np.arange(len(counts)) + 0.5) / len(counts), counts, 0.9 / len(counts), color=COLOURS["mask"]
    )
    histogram.set(xlabel="confidence", ylabel="pictures", yscale="symlog", xlim=(0.3, 1.01))
    return figure


def _shares(groups: Mapping[str, Mapping[str, Any]], overall: Mapping[str, Any]) -> Figure:
    """Draw the mask-or-not accuracy of all members of all groups, with 95% intervals."""
    rows: list[tuple[str, Mapping[str, Any] | None]] = []
    for group, members in groups.items():
        rows += [(group, None)] if group else []
        rows += [(f"{name}  ({member['n']:,})", member) for name, member in members.items()]
    figure = Figure((7, 0.9 + 0.22 * len(rows)))
    axes = figure.subplots()
    drawn = [(place, member) for place, (_, member) in enumerate(rows) if member]
    places = [place for place, _ in drawn]
    shares = np.array([member["mask_or_not_accuracy"] for _, member in drawn])
    counts = [member["n"] for _, member in drawn]
    intervals = [wilson_interval(round(share * n), n) for share, n in zip(shares, counts, strict=True)]
    axes.hlines(places, *np.transpose(intervals), color=_PALE, linewidth=3, label="its 95% interval")
    axes.plot(shares, places, "o", color=COLOURS["mask"], markersize=5, label="mask or not: accuracy")
    axes.axvline(
        overall["mask_or_not_accuracy"], color=COLOURS["mask"], linewidth=0.8, linestyle=":", label="overall"
    )
    classes = [member["accuracy"] for _, member in drawn]
    axes.plot(classes, places, "|", color=COLOURS["no_mask"], markersize=9, label="three classes: accuracy")
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    for tick, (_, member) in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("normal" if member else "bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    return figure


def _corruptions(corruptions: Mapping[str, Mapping[str, Any]], overall: Mapping[str, Any]) -> Figure:
    figure = Figure((8.4, 2.6))
    row: Sequence[Axes] = figure.subplots(1, len(corruptions), sharey=True)
    for axes, (kind, levels) in zip(row, corruptions.items(), strict=True):
        for key, label, colour in (
            ("mask_or_not_accuracy", "mask or not", COLOURS["mask"]),
            ("accuracy", "three classes", COLOURS["no_mask"]),
        ):
            values = [overall[key], *(level[key] for level in levels.values())]
            axes.plot(values, "o-", color=colour, markersize=3.5, label=label)
        axes.set_xticks(range(len(levels) + 1), ["none", *levels], rotation=40, ha="right", fontsize=8)
        axes.set_title(kind)
        axes.grid(axis="y")
    row[0].set_ylabel("accuracy")
    row[0].legend(loc="lower left", fontsize=8)
    return figure


def _training(training: Mapping[str, Any]) -> Figure:
    figure = Figure((7.6, 3))
    loss, scores = figure.subplots(1, 2)
    history = training["history"]
    epochs = range(1, len(history) + 1)
    for axes, lines in (
        (loss, {"loss": "training (augmented)", "val_loss": "validation"}),
        (scores, {"val_mask_or_not": "mask or not", "val_accuracy": "accuracy", "val_macro_f1": "macro-F1"}),
    ):
        for (key, label), colour in zip(lines.items(), COLOURS.values(), strict=False):
            axes.plot(epochs, [row[key] for row in history], "o-", color=colour, markersize=3, label=label)
        for number in range(1, len(history)):
            if history[number]["stage"] != history[number - 1]["stage"]:
                axes.axvline(number + 0.5, color=_PALE, linewidth=0.8, linestyle=":")
        axes.set_xlabel("epoch; dotted where the next stage begins")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    loss.set(title="Loss", ylim=(0, None))
    scores.set_title("Validation")
    return figure


def read_run(
    run: Path, detector: Path | None
) -> tuple[dict[str, Any], NDArray[np.int64], NDArray[np.float64]]:
    """Read the figures of a run, and the test pictures' class numbers (N,) and probabilities (N, 3).

    Args:
        run: Folder of an evaluated run.
        detector: Folder of a detector's run to include.

    Raises:
        FileNotFoundError: An earlier step has not run.
    """
    report = {
        "metrics": json.loads((run / METRICS).read_text(encoding="utf-8")),
        "conversion": json.loads((run / CONVERSION).read_text(encoding="utf-8")),
        "training": json.loads((run / STATE).read_text(encoding="utf-8")),
    }
    for name, file in {"gate": GATE, "clients": SERVED, "leave_one_out": LEAVE_ONE_OUT}.items():
        if (run / file).is_file():
            report[name] = json.loads((run / file).read_text(encoding="utf-8"))
    if (run / NOTES).is_file():
        report["notes"] = (run / NOTES).read_text(encoding="utf-8")
    if detector:
        report["detector"] = json.loads((detector / METRICS).read_text(encoding="utf-8"))
        if (detector / GATE).is_file():
            report["detector_gate"] = json.loads((detector / GATE).read_text(encoding="utf-8"))
    with (run / PREDICTIONS).open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    actual = np.array([LABELS.index(row["label"]) for row in rows], np.int64)
    probabilities = np.array([[float(row[f"p_{label}"]) for label in LABELS] for row in rows])
    return report, actual, probabilities


def write_report(run: Path, out: Path, detector: Path | None = None) -> None:
    """Write the report of an evaluated run, and optionally of a detector's, to `out`; see the module's docstring."""
    report, actual, probabilities = read_run(run, detector)
    out.mkdir(parents=True, exist_ok=True)
    drawn = plots(report, actual, probabilities)
    with style.context(STYLE):
        for name, figure in drawn.items():
            figure.savefig(out / f"{name}.svg", metadata={"Date": None})
    pictures = {name: _data_uri(out / f"{name}.svg", "image/svg+xml") for name in drawn}
    mistakes = run / MISTAKES
    page = _rendered(
        "report.html.jinja",
        report,
        pictures=pictures,
        mistakes=_data_uri(mistakes, "image/png") if mistakes.is_file() else None,
    )
    (out / CARD).write_text(model_card(report), encoding="utf-8")
    (out / "report.html").write_text(page, encoding="utf-8")
    (out / "report.json").write_text(
        json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def model_card(report: Mapping[str, Any]) -> str:
    """Return the model card of the content of a `report.json`, in Markdown."""
    return _rendered("model-card.md.jinja", report)


def _rendered(template: str, report: Mapping[str, Any], **more: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    optional = ("gate", "leave_one_out", "clients", "notes", "detector", "detector_gate")
    context = {**dict.fromkeys(optional), **report, "labels": LABELS}
    return environment.get_template(template).render(context, **more)


def _data_uri(file: Path, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(file.read_bytes()).decode()}"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--run", type=Path, help="folder of an evaluated run")
    subject.add_argument(
        "--report", type=Path, help="a report.json, of which only the model card is written anew"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--detector", type=Path, help="folder of an evaluated detector's run")
    options = parser.parse_args()
    with reported(parser):
        if options.report:
            (options.out / CARD).write_text(
                model_card(json.loads(options.report.read_text(encoding="utf-8")))
            )
            return
        write_report(options.run, options.out, options.detector)
    print(f"report in {options.out / 'report.html'}")


if __name__ == "__main__":
    main()
