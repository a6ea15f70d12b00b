"""The features of a record."""

import copy
import math
from datetime import UTC, datetime

import numpy as np
import pytest

from functions.drift.features import FEATURES, features, format_value
from tests.records import drawn, parsed

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RECORD = parsed(drawn(np.random.default_rng(0), NOW))


def result(record) -> dict[str, float]:
    return dict(zip(FEATURES, features(record), strict=True))


def test_a_record_of_the_inference_functions_has_every_feature() -> None:
    values = result(RECORD)
    assert values["brightness"] == RECORD["image"]["brightness"]
    assert values["size"] == pytest.approx(math.log2(math.sqrt(640 * 480)))
    assert values["shape"] == pytest.approx(math.log2(640 / 480))
    assert values["faces"] == 1
    assert values["face_side"] == pytest.approx(math.log2(RECORD["faces"][0]["side"]))
    assert values["confidence"] == max(RECORD["probabilities"].values())
    assert [values[f"projection_{n}"] for n in range(16)] == RECORD["projection"]


def test_an_uncertain_answer_has_the_confidence_of_its_most_probable_label() -> None:
    record = parsed(drawn(np.random.default_rng(0), NOW, min_confidence=1.0))
    assert record["label"] == "uncertain"
    assert result(record)["confidence"] == max(record["probabilities"].values())


def test_a_picture_without_faces_has_a_face_of_size_0() -> None:
    values = result(parsed(drawn(np.random.default_rng(0), NOW, faces=0)))
    assert (values["faces"], values["face_side"]) == (0, 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("image", "noise"), None),
        (("image", "noise"), "0.1"),
        (("image", "noise"), True),
        (("image", "noise"), math.nan),
        (("image", "width"), 0),
        (("image",), {**RECORD["image"], "width": 1e200, "height": 1e200}),
        (("image",), {**RECORD["image"], "width": 1e200, "height": 1e-200}),
        (("image", "width"), -3),
        (("image",), []),
        (("projection",), [0.0] * 15),
        (("projection",), [0.0] * 17),
        (("projection",), None),
        (("probabilities",), {}),
        (("faces",), [{}]),
        (("faces",), [{"side": 0}]),
        (("faces",), None),
    ],
)
def test_a_record_without_a_feature_is_refused(path: tuple[str, ...], value: object) -> None:
    record = copy.deepcopy(dict(RECORD))
    inner = record
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(ValueError, match="record"):
        features(record)


def test_values_are_formatted_as_pixels_and_percent() -> None:
    assert format_value("size", math.log2(480)) == "480 px"
    assert format_value("face_side", 0) == "none"
    assert format_value("shape", math.log2(4 / 3)) == "1.33"
    assert format_value("confidence", 0.973) == "97.3%"
    assert format_value("noise", 0.01449) == "0.0145"
