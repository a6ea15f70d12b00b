"""`score` turns a picture into a prediction."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from functions.inference.classify import ClassifierOutput
from functions.inference.decode import Picture
from functions.inference.detect import Detections
from functions.inference.prediction import Box, Prediction, PredictOptions
from functions.inference.score import MAX_REFUSED, Models, crop_with_margin, score
from functions.shared.contract import LABELS

PICTURE = Picture(np.zeros((120, 160, 3), np.uint8), 160, 120, decode_ms=1.23456)
MASK, BARE, WRONG = (0.7, 0.2, 0.1), (0.2, 0.7, 0.1), (0.2, 0.1, 0.7)
MIN_DETECTION = 0.5
SMALL, LARGE, TINY = (100, 10, 120, 40), (10, 20, 60, 100), (140, 100, 148, 110)  # left, top, right, bottom


NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


class Finds:
    """A fake detector with fixed boxes in the picture as it is; the last one may be unsure."""

    min_score = MIN_DETECTION

    def __init__(self, *boxes: tuple[float, float, float, float], unsure: float | None = None) -> None:
        scores = np.linspace(0.9, 0.6, len(boxes), dtype=np.float32)
        if unsure:
            scores[-1] = unsure
        self.looks = 0
        self.found = Detections(np.array(boxes, np.float32).reshape(-1, 4), scores)

    def look(self, _: np.ndarray, share: float = 1.0) -> Detections:
        self.looks += 1
        return self.found if share == 1 else NOTHING

    def searches(self, pixels: np.ndarray) -> Iterator[Detections]:
        yield self.look(pixels)
        yield self.look(pixels, 0.5)

    def detect(self, _: np.ndarray) -> Detections:
        return NOTHING

    def has_face(self, found: Detections) -> bool:
        return bool(found.scores.max(initial=0) >= self.min_score)


class Thinks:
    """A fake classifier with fixed answers that records its input."""

    def __init__(self, *opinions: tuple[float, ...], evidence: tuple[float, ...] = ()) -> None:
        self.opinions, self.evidence, self.seen = opinions, evidence or (0.0,) * len(opinions), []

    def classify(self, pixels: np.ndarray) -> ClassifierOutput:
        number = len(self.seen)
        self.seen.append(pixels)
        projection = np.full(16, number / 3, np.float32)
        return ClassifierOutput(self.opinions[number], projection, self.evidence[number])


def ask(detector: Finds, classifier: Thinks, picture: Picture = PICTURE, **options: object) -> Prediction:
    return score(picture, Models(detector, classifier, "7"), PredictOptions(**options))


@pytest.mark.parametrize(("opinion", "label"), [(MASK, "mask"), (BARE, "no_mask"), (WRONG, "incorrect")])
def test_the_most_probable_label_wins(opinion: tuple[float, ...], label: str) -> None:
    classification = ask(Finds(), Thinks(opinion)).classification
    assert classification.label == label
    assert classification.confidence == 0.7
    assert classification.probabilities == dict(zip(LABELS, opinion, strict=True))


def test_below_min_confidence_the_label_is_uncertain() -> None:
    classification = ask(Finds(), Thinks(MASK), min_confidence=0.71).classification
    assert (classification.label, classification.confidence) == ("uncertain", 0.7)


def test_at_min_confidence_the_label_is_certain() -> None:
    assert ask(Finds(), Thinks(MASK), min_confidence=0.7).classification.label == "mask"


def test_rounded_probabilities_decide() -> None:
    # An answer of 0.9 that calls itself under 0.9 would be a puzzle.
    classification = ask(Finds(), Thinks((0.89996, 0.05002, 0.05002)), min_confidence=0.9).classification
    assert (classification.label, classification.confidence) == ("mask", 0.9)


@pytest.mark.parametrize("seed", range(50))
def test_rounded_probabilities_sum_to_one(seed: int) -> None:
    exact = tuple(np.random.default_rng(seed).dirichlet([0.3, 0.3, 0.3]))
    result = ask(Finds(), Thinks(exact)).classification.probabilities
    assert sum(round(p * 10_000) for p in result.values()) == 10_000
    assert all(abs(result[label] - p) <= 0.00011 for label, p in zip(LABELS, exact, strict=True))
    assert all(p == round(p, 4) for p in result.values())


def test_the_largest_face_comes_first_and_gives_the_label() -> None:
    prediction = ask(Finds(SMALL, LARGE), Thinks(BARE, MASK))
    assert [face.box for face in prediction.faces] == [Box(10, 20, 50, 80), Box(100, 10, 20, 30)]
    assert [face.classification.label for face in prediction.faces] == ["no_mask", "mask"]
    assert [face.detection_confidence for face in prediction.faces] == [0.6, 0.9]
    assert prediction.classification == prediction.faces[0].classification
    assert prediction.projection == (0.0,) * 16


def test_each_face_is_cropped_with_a_margin_within_the_picture() -> None:
    classifier = Thinks(BARE, MASK)
    ask(Finds(LARGE, SMALL), classifier)
    assert [crop.shape for crop in classifier.seen] == [(120, 83, 3), (54, 38, 3)]
    pixels = np.arange(120 * 160 * 3).reshape(120, 160, 3)
    assert np.array_equal(crop_with_margin(pixels, np.array([0, 90, 20, 120])), pixels[76:120, 0:29])


def test_without_a_face_the_whole_picture_is_classified() -> None:
    classifier = Thinks(WRONG)
    prediction = ask(Finds(), classifier)
    assert [crop.shape for crop in classifier.seen] == [(120, 160, 3)]
    assert prediction.to_dict()["classified"] == "picture"
    assert prediction.to_dict()["faces"] == []
    assert prediction.summary == {"faces": 0, "mask": 0, "no_mask": 0, "incorrect": 0, "uncertain": 0}


class FindsUpright(Finds):
    """A fake detector that finds only a rectangle whose spot is near the upper edge."""

    def __init__(self, score: float = 0.9) -> None:
        super().__init__()
        self.score = score

    def look(self, pixels: np.ndarray, share: float = 1.0) -> Detections:
        rows, columns = np.nonzero(pixels[..., 0] > 0)
        if len(rows) == 0 or share < 1:
            return NOTHING
        box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        (spot_row,), _ = np.nonzero(pixels[..., 1] > 0)
        found = Detections(np.array([box], np.float32), np.array([self.score], np.float32))
        return found if spot_row - box[1] < 8 else NOTHING

    def detect(self, pixels: np.ndarray) -> Detections:
        return self.look(pixels)


def upright_face() -> np.ndarray:
    """The picture in which `FindsUpright` finds a face."""
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[20:60, 30:50, 0] = 255
    pixels[25, 40, 1] = 255
    return pixels


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_picture_is_rotated_until_a_face_is_found(quarters: int) -> None:
    sent = np.ascontiguousarray(np.rot90(upright_face(), quarters))
    height, width = sent.shape[:2]
    classifier = Thinks(MASK)
    prediction = ask(FindsUpright(), classifier, Picture(sent, 2 * width, 2 * height, 1.0))
    (face,) = prediction.faces
    assert prediction.to_dict()["rotated"] == 90 * quarters
    box = face.box
    found = sent[box.top // 2 : (box.top + box.height) // 2, box.left // 2 : (box.left + box.width) // 2, 0]
    assert (found == 255).all()
    assert found.size == (sent[..., 0] == 255).sum()
    assert [crop.shape for crop in classifier.seen] == [(76, 38, 3)]  # upright, with its margin


@pytest.mark.parametrize(("quarters", "faces"), [(0, 1), (1, 0), (2, 0), (3, 0)])
def test_a_face_in_a_rotated_picture_needs_a_higher_score(quarters: int, faces: int) -> None:
    sent = np.ascontiguousarray(np.rot90(upright_face(), quarters))
    picture = Picture(sent, sent.shape[1], sent.shape[0], 1.0)
    classifier = Thinks(BARE, MASK, evidence=(-1.5, 0.0))  # the score of 0.9 becomes 0.67
    assert len(ask(FindsUpright(), classifier, picture).faces) == faces


def test_an_unsure_face_that_is_too_small_does_not_rotate_the_answer() -> None:
    sent = Picture(np.ascontiguousarray(np.rot90(upright_face())), 120, 160, 1.0)
    assert ask(FindsUpright(score=0.7), Thinks(MASK), sent, min_face=50).rotated == 0


def test_a_picture_without_a_face_is_not_rotated() -> None:
    classifier = Thinks(WRONG)
    assert ask(FindsUpright(), classifier).rotated == 0
    assert classifier.seen[0].shape == (120, 160, 3)


def test_without_detection_the_detector_is_not_called() -> None:
    classifier = Thinks(WRONG)
    assert ask(Finds(LARGE), classifier, detect=False).faces == ()
    assert classifier.seen[0].shape == (120, 160, 3)


def test_max_faces_keeps_the_largest() -> None:
    prediction = ask(Finds(SMALL, TINY, LARGE), Thinks(MASK, MASK), max_faces=2)
    assert [face.box.width for face in prediction.faces] == [50, 20]


def test_min_face_is_the_shorter_side_in_original_pixels() -> None:
    large = Picture(PICTURE.pixels, 320, 240, 1.0)  # decoded at half its size
    prediction = ask(Finds(SMALL, LARGE, TINY), Thinks(MASK, MASK), large, min_face=40)
    assert [face.box for face in prediction.faces] == [Box(20, 40, 100, 160), Box(200, 20, 40, 60)]
    assert ask(Finds(SMALL), Thinks(MASK), large, min_face=41).faces == ()


def test_the_classifier_refuses_what_is_no_face() -> None:
    prediction = ask(Finds(LARGE, SMALL), Thinks(BARE, MASK, evidence=(-3.0, 0.0)))
    assert [face.box.width for face in prediction.faces] == [20]
    assert prediction.classification.label == "mask"


def test_the_classifier_confirms_an_unsure_detection() -> None:
    prediction = ask(Finds(LARGE, SMALL, unsure=0.4), Thinks(BARE, MASK, evidence=(0.0, 0.5)))
    assert [face.detection_confidence for face in prediction.faces] == [
        0.9,
        pytest.approx(0.5236, abs=1e-4),  # odds of 2/3, times e^0.5
    ]
    assert len(ask(Finds(LARGE, SMALL, unsure=0.4), Thinks(BARE, MASK)).faces) == 1


def test_if_every_face_is_refused_the_upright_picture_is_classified() -> None:
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[20:60, 30:50, 0] = 255
    pixels[25, 40, 1] = 255
    sent = Picture(np.ascontiguousarray(np.rot90(pixels)), 120, 160, 1.0)
    classifier = Thinks(BARE, MASK, evidence=(-9.0, 0.0))
    prediction = ask(FindsUpright(), classifier, sent)
    assert (prediction.faces, prediction.rotated, prediction.classification.label) == ((), 0, "mask")
    assert [seen.shape for seen in classifier.seen] == [(76, 38, 3), (160, 120, 3)]


class FindsCloseUp(Finds):
    """A fake detector that finds another face, or an unsure one, in the picture at half its size."""

    def __init__(
        self,
        *boxes: tuple[float, float, float, float],
        unsure: float | None = None,
        close_up: float | None = None,
    ) -> None:
        super().__init__(*boxes, unsure=unsure)
        self.close_up = Finds(LARGE, unsure=close_up).found

    def look(self, pixels: np.ndarray, share: float = 1.0) -> Detections:
        return super().look(pixels) if share == 1 else self.close_up


def test_if_every_face_is_refused_the_close_up_is_tried() -> None:
    prediction = ask(FindsCloseUp(SMALL), Thinks(BARE, MASK, evidence=(-9.0, 0.0)))
    assert [(face.box.width, face.classification.label) for face in prediction.faces] == [(50, "mask")]


@pytest.mark.parametrize(("evidence", "faces"), [(0.5, 1), (0.0, 0)])
def test_the_classifier_confirms_an_unsure_close_up(evidence: float, faces: int) -> None:
    prediction = ask(FindsCloseUp(close_up=0.4), Thinks(MASK, BARE, evidence=(evidence, 0.0)))
    assert len(prediction.faces) == faces


def test_a_sure_close_up_comes_before_an_unsure_detection() -> None:
    detector = FindsCloseUp(SMALL, unsure=0.4)
    assert [face.box.width for face in ask(detector, Thinks(MASK)).faces] == [50]


def test_a_face_that_is_too_small_ends_the_search() -> None:
    prediction = ask(FindsCloseUp(SMALL), Thinks(MASK), min_face=21)
    assert prediction.faces == ()
    assert prediction.to_dict()["classified"] == "picture"


def test_a_picture_full_of_refused_detections_costs_little() -> None:
    boxes = [(x, y, x + 8, y + 8) for x in range(0, 160, 10) for y in range(0, 120, 10)]
    refuses = Thinks(*[BARE] * 200, evidence=(-9.0,) * 200)
    detector = Finds(*boxes)
    assert ask(detector, refuses, max_faces=5).faces == ()
    assert len(refuses.seen) == 5 + MAX_REFUSED + 1  # and the whole picture
    assert detector.looks == 1  # others would be in vain


def test_if_the_faces_of_a_rotated_picture_are_too_small_it_is_classified_upright() -> None:
    classifier = Thinks(MASK)
    sent = Picture(np.ascontiguousarray(np.rot90(upright_face())), 120, 160, 1.0)
    prediction = ask(FindsUpright(), classifier, sent, min_face=50)
    assert (prediction.faces, prediction.rotated) == ((), 90)
    assert [seen.shape for seen in classifier.seen] == [(120, 160, 3)]


def test_a_sure_face_that_is_too_small_ends_the_search_beside_a_large_unsure_one() -> None:
    prediction = ask(FindsCloseUp(SMALL, LARGE, unsure=0.4), Thinks(BARE, MASK), min_face=21)
    assert prediction.faces == ()
    assert prediction.classification.label == "mask"  # of the whole picture


def test_max_faces_counts_what_is_confirmed() -> None:
    classifier = Thinks(BARE, MASK, MASK, evidence=(-9.0, 0.0, 0.0))
    prediction = ask(Finds(LARGE, SMALL, TINY), classifier, max_faces=1)
    assert [face.box.width for face in prediction.faces] == [20]
    assert len(classifier.seen) == 2  # none is classified in vain


def test_a_summary_counts_the_labels() -> None:
    opinions = (MASK, MASK, BARE, (0.4, 0.3, 0.3))
    boxes = [(0, 0, side, side) for side in (50, 40, 30, 20)]
    prediction = ask(Finds(*boxes), Thinks(*opinions), min_confidence=0.5)
    assert prediction.summary == {"faces": 4, "mask": 2, "no_mask": 1, "incorrect": 0, "uncertain": 1}


def test_a_prediction_has_the_size_of_the_picture_and_the_model_version() -> None:
    prediction = ask(Finds(), Thinks(MASK))
    assert (prediction.width, prediction.height, prediction.model_version) == (160, 120, "7")
    assert len(prediction.projection) == 16
    assert prediction.decode_ms == 1.235
    assert uuid.UUID(prediction.id)
    assert prediction.id != ask(Finds(), Thinks(MASK)).id


def test_an_answer_is_serializable_as_json() -> None:
    prediction = replace(ask(Finds(LARGE), Thinks(MASK)), id="p")
    classification = {
        "label": "mask",
        "confidence": 0.7,
        "probabilities": {"mask": 0.7, "no_mask": 0.2, "incorrect": 0.1},
    }
    box = {"left": 10, "top": 20, "width": 50, "height": 80}
    assert prediction.to_dict() == {
        "prediction_id": "p",
        **classification,
        "classified": "face",
        "image": {"width": 160, "height": 120},
        "rotated": 0,
        "faces": [{"box": box, "detection_confidence": 0.9, **classification}],
        "summary": {"faces": 1, "mask": 1, "no_mask": 0, "incorrect": 0, "uncertain": 0},
        "model_version": "7",
    }
