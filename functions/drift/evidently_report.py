"""Evidently's data drift report on all predictions, which the page unpacks on demand."""

from __future__ import annotations

import base64
import gzip
from typing import TYPE_CHECKING, Final

import numpy as np

from functions.drift.features import CONFIDENCE, FEATURES
from functions.shared.contract import LABELS

if TYPE_CHECKING:
    from functions.drift.baseline import Reference
    from functions.drift.features import Sample

_LABEL: Final = "label"
_MAX_ROWS: Final = 5_000  # predictions, drawn at random to save time


def pack(current: Sample, reference: Reference) -> str:
    """Return the HTML report, which has megabytes, compressed with gzip and encoded in base64."""
    import pandas as pd  # noqa: PLC0415 -- takes seconds to import, as Evidently does
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    counts = reference.label_counts()
    labels = [label for label in LABELS for _ in range(counts[label])]
    spread = np.linspace(0, len(labels) - 1, len(reference.column(CONFIDENCE))).astype(int)
    reference_data = pd.DataFrame({feature: reference.column(feature) for feature in FEATURES}, dtype=float)
    drawn = np.random.default_rng(0).permutation(len(current.labels))[:_MAX_ROWS]
    current_data = pd.DataFrame(current.values[drawn], columns=list(FEATURES), dtype=float)  # noqa: PD011 -- not pandas
    reference_data[_LABEL] = [labels[index] for index in spread]
    current_data[_LABEL] = [LABELS[index] for index in current.labels[drawn]]
    definition = DataDefinition(numerical_columns=list(FEATURES), categorical_columns=[_LABEL])
    preset = DataDriftPreset(
        drift_share=1 / (len(FEATURES) + 1),  # one column is enough
        num_method="wasserstein",
        num_threshold=0.25,
        cat_method="jensenshannon",
        include_tests=False,
    )
    snapshot = Report([preset]).run(
        *(Dataset.from_pandas(frame, data_definition=definition) for frame in (current_data, reference_data))
    )
    return base64.b64encode(gzip.compress(snapshot.get_html_str(as_iframe=False).encode())).decode()
