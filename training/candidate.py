"""Candidate releases, with the networks of runs, and the release that they are compared with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from functions.inference.fetch import open_release
from functions.inference.release import Network
from training.errors import TrainingError
from training.files import CONVERSION, DETECTOR, SMALL

if TYPE_CHECKING:
    from pathlib import Path

    from functions.inference.release import Release

STACK: Final = "stack:"


def serving_uri(stack: str) -> str:
    """Return the URI of the release that a stack serves; empty for the one in its image.

    Raises:
        TrainingError: The stack does not exist, or AWS cannot be reached.
    """
    import boto3  # noqa: PLC0415 -- needed only with a stack
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        (described,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise TrainingError(f"what the stack {stack} serves cannot be found out: {error}") from error
    parameters = described.get("Parameters", [])
    values = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in parameters}
    return str(values.get("ModelUri", ""))


def open_serving(address: str) -> Release:
    """Open the release to compare with.

    Args:
        address: A folder, s3://…, `stack:NAME` for what that stack serves now, or "" for the one in the image.

    Raises:
        ReleaseError: The release is invalid.
        TrainingError: See `serving_uri`.
    """
    return open_release(serving_uri(address.removeprefix(STACK)) if address.startswith(STACK) else address)


def _conversion(run: Path) -> dict[str, Any]:
    """Return the content of a run's `conversion.json`.

    Raises:
        TrainingError: The run is not converted.
    """
    try:
        return dict(json.loads((run / CONVERSION).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise TrainingError(f"{run} has no {CONVERSION}: convert the run first") from error


def shipped(run: Path) -> Network:
    """Return the network that `training.classifier.convert` chose to ship."""
    conversion = _conversion(run)
    return Network((run / f"{conversion['shipped']}.tflite").read_bytes(), conversion["input_size"])


def candidate_release(serving: Release, run: Path | None, detector: Path | None) -> Release:
    """Return the serving release with the networks of runs in place of its own.

    Args:
        serving: The serving release.
        run: Folder of a classifier's converted run.
        detector: Folder of a detector's converted run.

    Raises:
        TrainingError: A run is not converted.
    """
    release = serving
    if run:
        small = _conversion(run).get("small")  # missing if the network is small itself
        network = Network((run / SMALL).read_bytes(), small["input_size"]) if small else None
        release = replace(serving, classifier=shipped(run), small_classifier=network)
    if detector:
        conversion = _conversion(detector)
        network = Network((detector / DETECTOR).read_bytes(), conversion["input_size"])
        release = replace(release, detector=network, min_score=conversion["min_score"])
    return release
