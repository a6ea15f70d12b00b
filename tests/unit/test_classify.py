"""The classifier of the shipped release."""

import numpy as np
import pytest

from functions.inference import classify
from functions.inference.classify import Classifier, resize
from functions.inference.release import Network, Release, load_release
from functions.shared.release_files import IMAGE_RELEASE
from tests.pictures import draw_face

FACE = np.asarray(draw_face())


@pytest.fixture(scope="module")
def release() -> Release:
    return load_release(IMAGE_RELEASE)


@pytest.fixture(scope="module")
def classifier(release: Release) -> Classifier:
    return Classifier(release.classifier, threads=1)


@pytest.mark.parametrize("pixels", [FACE, np.zeros((50, 40, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)])
def test_probabilities_sum_to_one(classifier: Classifier, pixels: np.ndarray) -> None:
    result = classifier.classify(pixels)
    assert all(0 <= p <= 1 for p in result.probabilities)
    assert sum(result.probabilities) == pytest.approx(1, abs=0.005)


def test_the_projection_is_sixteen_numbers(classifier: Classifier) -> None:
    result = classifier.classify(FACE)
    assert result.projection.shape == (16,)
    assert result.projection.dtype == np.float32
    assert np.isfinite(result.projection).all()


class FakeRunner:
    """A fake network that records its input, and answers with the given probability of a mask."""

    def __init__(self, sureness: float = 0.99, evidence: float | None = None, size: int = 224) -> None:
        self.sureness, self.evidence, self.size, self.inputs = sureness, evidence, size, []

    @property
    def output_count(self) -> int:
        return 2 if self.evidence is None else 3

    def run(self, pixels: np.ndarray) -> list[np.ndarray]:
        self.inputs.append(pixels)
        share = self.sureness if len(self.inputs) == 1 else 1.0
        evidence = [] if self.evidence is None else [np.array([self.evidence], np.float32)]
        return [
            *evidence,
            np.array([share, 1 - share, 0], np.float32),
            np.full(16, len(self.inputs), np.float32),
        ]


@pytest.fixture
def runners(monkeypatch: pytest.MonkeyPatch) -> dict[int, FakeRunner]:
    made = {size: FakeRunner(size=size) for size in (224, 128)}
    monkeypatch.setattr(classify, "Runner", lambda network, _: made[network.size])
    return made


@pytest.mark.parametrize(
    ("shape", "size"), [((128, 90), 128), ((20, 30), 128), ((129, 90), 224), ((50, 400), 224)]
)
def test_a_small_face_goes_through_the_small_network(
    runners: dict[int, FakeRunner], shape: tuple[int, int], size: int
) -> None:
    both = Classifier(Network(b"", 224), 1, Network(b"", 128))
    both.classify(np.zeros((*shape, 3), np.uint8))
    assert [one.shape for one in runners[size].inputs] == [(size, size, 3)]
    assert runners[352 - size].inputs == []


def test_without_a_small_network_every_face_goes_through_the_other(runners: dict[int, FakeRunner]) -> None:
    Classifier(Network(b"", 224), 1).classify(np.zeros((20, 20, 3), np.uint8))
    assert [one.shape for one in runners[224].inputs] == [(224, 224, 3)]


def test_an_unsure_answer_is_averaged_with_the_mirrored_face(runners: dict[int, FakeRunner]) -> None:
    runners[224].sureness = 0.5
    result = Classifier(Network(b"", 224), 1).classify(FACE)
    plain, mirrored = runners[224].inputs
    assert np.array_equal(mirrored, plain[:, ::-1])
    assert result.probabilities == (0.75, 0.25, 0)
    assert (result.projection == 1).all()


@pytest.mark.parametrize(("sureness", "mask"), [(0.99, 0.99), (0.5, 0.75)])
def test_a_network_with_three_outputs_tells_faces(
    runners: dict[int, FakeRunner], sureness: float, mask: float
) -> None:
    runners[224].sureness, runners[224].evidence = sureness, -1.5
    classifier = Classifier(Network(b"", 224), 1)
    result = classifier.classify(FACE)
    assert classifier.has_face_evidence
    assert result.face_evidence == -1.5
    assert result.probabilities[0] == pytest.approx(mask)


@pytest.mark.usefixtures("runners")
def test_a_network_of_an_older_release_does_not_tell_faces() -> None:
    classifier = Classifier(Network(b"", 224), 1)
    result = classifier.classify(FACE)
    assert not classifier.has_face_evidence
    assert result.face_evidence == 0


def test_a_sure_answer_needs_one_pass(runners: dict[int, FakeRunner]) -> None:
    Classifier(Network(b"", 224), 1).classify(FACE)
    assert len(runners[224].inputs) == 1


def test_answers_do_not_change_with_the_next_call(classifier: Classifier) -> None:
    first = classifier.classify(FACE)
    before = first.projection.copy()
    classifier.classify(255 - FACE)
    assert np.array_equal(first.projection, before)


def test_threads_do_not_change_the_answer(release: Release, classifier: Classifier) -> None:
    one = classifier.classify(FACE)
    four = Classifier(release.classifier, threads=4).classify(FACE)
    assert four.probabilities == pytest.approx(one.probabilities, abs=1e-3)


def test_resize_ignores_the_aspect_ratio() -> None:
    squeezed = resize(FACE, 224)
    assert squeezed.shape == (224, 224, 3)
    assert squeezed.dtype == np.uint8
    assert np.array_equal(resize(squeezed, 224), squeezed)


def test_resize_averages_pixels() -> None:
    stripes = np.zeros((896, 896, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resize(stripes, 224).astype(int)[4:-4, 4:-4] - 127.5).max() < 3
