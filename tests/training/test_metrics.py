"""Metrics equal values calculated by hand."""

import numpy as np
import pytest

from training.metrics import (
    area_under_roc,
    average_precision,
    bootstrap_interval,
    calibration_error,
    calibration_error_by_chance,
    confusion_matrix,
    figures,
    macro_f1,
    precision_recall_curve,
    precision_recall_f1,
    reliability,
    roc_curve,
    wilson_interval,
)

ACTUAL = np.array([0, 0, 0, 0, 1, 1, 2, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 2, 2, 0])
POSITIVE = np.array([True, False, True, False])
SCORE = np.array([0.9, 0.8, 0.7, 0.1])


def test_the_confusion_matrix_has_actual_labels_in_rows() -> None:
    assert confusion_matrix(ACTUAL, PREDICTED, 3).tolist() == [[3, 1, 0], [0, 1, 1], [1, 0, 1]]


def test_precision_recall_and_f1_of_each_class() -> None:
    precision, recall, f1 = precision_recall_f1(confusion_matrix(ACTUAL, PREDICTED, 3))
    assert precision == pytest.approx([3 / 4, 1 / 2, 1 / 2])
    assert recall == pytest.approx([3 / 4, 1 / 2, 1 / 2])
    assert f1 == pytest.approx([3 / 4, 1 / 2, 1 / 2])


def test_f1_is_the_harmonic_mean() -> None:
    precision, recall, f1 = precision_recall_f1(np.array([[1, 3], [0, 4]]))
    assert (precision[0], recall[0]) == (1, 0.25)
    assert f1[0] == pytest.approx(2 * 1 * 0.25 / 1.25)


def test_a_class_that_does_not_occur_has_f1_0_and_does_not_count() -> None:
    confusion = np.array([[4, 0, 0], [0, 2, 0], [0, 0, 0]])
    assert precision_recall_f1(confusion)[2].tolist() == [1, 1, 0]
    assert macro_f1(confusion) == 1


def test_roc_passes_through_every_threshold() -> None:
    false_positives, true_positives = roc_curve(POSITIVE, SCORE)
    assert false_positives.tolist() == [0, 0, 0.5, 0.5, 1]
    assert true_positives.tolist() == [0, 0.5, 0.5, 1, 1]


def test_area_under_roc_is_the_share_of_pairs_in_order() -> None:
    assert area_under_roc(POSITIVE, SCORE) == pytest.approx(3 / 4)
    assert area_under_roc(POSITIVE, np.array([0.9, 0.1, 0.8, 0.2])) == 1


def test_equal_scores_count_half() -> None:
    assert area_under_roc(POSITIVE, np.full(4, 0.5)) == pytest.approx(0.5)
    assert roc_curve(POSITIVE, np.full(4, 0.5))[0].tolist() == [0, 1]


def test_average_precision_by_hand() -> None:
    recall, precision = precision_recall_curve(POSITIVE, SCORE)
    assert recall.tolist() == [0.5, 0.5, 1, 1]
    assert precision == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
    assert average_precision(POSITIVE, SCORE) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_reliability_bins_confidence() -> None:
    confidence = np.array([0.55, 0.6, 0.95, 1.0])
    confidences, accuracies, counts = reliability(confidence, np.array([True, False, True, True]))
    assert counts.tolist() == [0] * 8 + [2] + [0] * 5 + [2]
    assert (confidences[8], accuracies[8]) == pytest.approx((0.575, 0.5))
    assert (confidences[14], accuracies[14]) == pytest.approx((0.975, 1))


def test_calibration_error_weighs_bins_by_their_count() -> None:
    confidence = np.array([0.55, 0.6, 0.95, 1.0])
    correct = np.array([True, False, True, True])
    assert calibration_error(confidence, correct) == pytest.approx(0.5 * 0.075 + 0.5 * 0.025)


def test_perfect_predictions_have_no_calibration_error() -> None:
    assert calibration_error(np.ones(5), np.ones(5, bool)) == 0


def test_calibrated_predictions_have_the_calibration_error_of_chance() -> None:
    """At one confidence, the error is the mean deviation of a share, and a bootstrap's interval would not hold 0."""
    confidence = np.full(400, 0.9)
    deviation = np.sqrt(0.9 * 0.1 / 400) * np.sqrt(2 / np.pi)
    assert calibration_error_by_chance(confidence) == pytest.approx(deviation, rel=0.05)
    assert calibration_error_by_chance(np.ones(5)) == 0


def test_wilson_intervals_equal_published_examples() -> None:
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson_interval(0, 0) == (0, 1)


def test_bootstrap_interval_is_that_of_a_share() -> None:
    hits = np.arange(400) < 360
    low, high = bootstrap_interval(lambda drawn: float(hits[drawn].mean()), 400)
    spread = 1.96 * np.sqrt(0.9 * 0.1 / 400)
    assert (low, high) == pytest.approx((0.9 - spread, 0.9 + spread), abs=0.006)


def test_figures_of_a_group() -> None:
    result = np.array([[0.8, 0.1, 0.1], [0.2, 0.1, 0.7], [0.1, 0.3, 0.6], [0.6, 0.4, 0.0]])
    overall = figures(np.array([0, 1, 2, 1]), result)
    assert overall["n"] == 4
    assert overall["accuracy"] == 0.5
    assert overall["mask_or_not_accuracy"] == 0.75  # no_mask called incorrect is right about the mask
    assert overall["confusion"] == [[1, 0, 0], [1, 0, 1], [0, 0, 1]]
    assert overall["macro_f1"] == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)


def test_figures_of_an_empty_group_are_empty() -> None:
    overall = figures(np.array([], np.int64), np.empty((0, 3)))
    assert (overall["n"], overall["accuracy"], overall["macro_f1"], overall["calibration_error"]) == (
        0,
        0,
        0,
        0,
    )
