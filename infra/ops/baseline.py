"""Build a baseline from a good period: `python -m infra.ops baseline --stack maskwatch-dev --from … --to …`.

Drift is then measured for each source against what the stack's own cameras saw in that period, instead of against the
release's validation pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from functions.drift.baseline import MIN_DAYS, MIN_SAMPLES, build
from functions.drift.effects import MIN_EFFECTIVE
from functions.drift.gather import sample_days
from functions.drift.sample import MAX_SOURCES
from functions.drift.window import Window
from functions.shared.contract import NO_SOURCE
from functions.shared.release_files import read_manifest
from infra.ops.arguments import utc
from infra.ops.errors import OpsError
from infra.ops.stack import add_stack, outputs_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable


def serving_version(function: str, client: Any, s3: Any) -> str:
    """Return the version of the release that a Predict function serves.

    Args:
        function: Name of the function.
        client: A boto3 client for Lambda.
        s3: A boto3 client for S3.

    Raises:
        OpsError: The release has no manifest.
    """
    variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    try:
        return str(read_manifest(s3, variables.get("MODEL_URI", ""))["version"])
    except LookupError as error:
        raise OpsError(f"The serving release is not known: {error}.") from error


def add_options(parser: ArgumentParser) -> None:
    """Add the stack and the period."""
    add_stack(parser)
    parser.add_argument(
        "--from", dest="start", type=utc, required=True, help="2026-11-01, or with a time; UTC"
    )
    parser.add_argument("--to", dest="end", type=utc, required=True, help="end of the period, exclusive")


def command(options: Namespace) -> None:
    """Write a baseline, and print how to use it.

    Raises:
        OpsError: There are too few records.
    """
    outputs, s3 = outputs_of(options.stack), boto3.client("s3")
    version = serving_version(outputs["PredictFunction"], boto3.client("lambda"), s3)
    window = Window(options.start, options.end)
    days = sample_days(s3, outputs["RecordsBucket"], window, version)
    try:
        baseline = build(version, days)
    except ValueError as error:
        raise OpsError(f"{error} by release {version} from {options.start} to {options.end}") from error
    key = f"baseline/{version}-{options.start:%Y%m%dT%H%M}-{options.end:%Y%m%dT%H%M}.json"
    s3.put_object(Bucket=outputs["InsightsBucket"], Key=key, Body=baseline.to_json().encode())
    named = {source for day in days for source in day}
    print(f"A baseline of {baseline.overall.count:,} minutes of release {version} on {len(days)} days.")
    print(f"Sources with a baseline of their own: {_names(baseline.sources)}.")
    if without := named.difference(baseline.sources):
        print(
            f"Sources without one, since they have fewer than {MIN_DAYS} days of {MIN_EFFECTIVE} independent "
            f"predictions, or fewer than {MIN_SAMPLES} in all: {_names(without)}."
        )
    if len(named) >= MAX_SOURCES:
        print(f"A baseline has the {MAX_SOURCES} busiest sources; if there are more, those are not compared.")
    print(f"Deploy with the parameter BaselineUri=s3://{outputs['InsightsBucket']}/{key}")


def _names(sources: Iterable[str]) -> str:
    return ", ".join(sorted(source or NO_SOURCE for source in sources)) or "none"
