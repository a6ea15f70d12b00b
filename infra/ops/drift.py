"""Run the Drift function now, and print its findings: `python -m infra.ops drift --stack maskwatch-dev`.

The stack of `make run` is called maskwatch, and is reached through AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from functions.drift import challenge
from functions.drift.compare import DRIFT, NOT_ENOUGH, OK
from functions.drift.report import NO_BASELINE, OTHER_VERSION
from functions.shared.contract import NO_SOURCE
from infra.ops.errors import OpsError
from infra.ops.files import require_writable
from infra.ops.stack import add_stack, outputs_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Mapping

_VERDICTS: Final = {
    OK: "No drift",
    DRIFT: "Drift",
    NOT_ENOUGH: "Too few predictions",
    NO_BASELINE: "No baseline",
    OTHER_VERSION: "The baseline is of another release than the serving one",
}
_TIMEOUT: Final = 910  # seconds; the function itself may take 900


def run(function: str, event: Mapping[str, Any], client: Any) -> dict[str, Any]:
    """Invoke the function and return its answer.

    Args:
        function: Name of the function.
        event: The window; empty for the one that ends now.
        client: A boto3 client for Lambda that waits for as long as the function may take.

    Raises:
        OpsError: The function failed; the message says how.
    """
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event))
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        reason = result.get("errorMessage", "it crashed, or ran out of time or memory")
        raise OpsError(f"The Drift function failed: {reason}")
    return result


def describe(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines of text that describe a JSON report."""
    window, counts = report["window"], report["counts"]
    yield (
        f"{_VERDICTS[report['verdict']]}, in {counts['records']:,} predictions "
        f"from {window['from']} to {window['to']}."
    )
    for finding in report["findings"]:
        where = "" if finding["source"] is None else f"{finding['source'] or NO_SOURCE}: "
        yield f"  {'' if finding['confirmed'] else 'not confirmed: '}{where}{finding['words']}"
    audit, chosen = report["accuracy"]["audit"], report["accuracy"]["chosen"]
    if accuracy := audit["accuracy"]:
        yield (
            f"Of the random audit sample, {audit['n']:,} of {audit['of']:,} are labelled, and "
            f"{accuracy['value']:.1%} of these are right (95% interval {accuracy['low']:.1%} to "
            f"{accuracy['high']:.1%})."
        )
    if chosen["n"] > audit["n"]:
        low, high = chosen["bounds"]
        yield (
            f"People labelled {chosen['n']:,} predictions, of which {chosen['accuracy']['value']:.1%} are right. As "
            f"people mostly report mistakes, this only shows that between {low:.1%} and {high:.1%} of all "
            f"{chosen['of']:,} are right."
        )
    if report.get("challenge"):
        yield challenge.describe(report["challenge"])
    yield from report["notes"]


def add_options(parser: ArgumentParser) -> None:
    """Add the stack and the window."""
    add_stack(parser)
    parser.add_argument(
        "--to", metavar="TIME", help="end of the window, such as 2026-11-21T09:00:00Z (default: now)"
    )
    parser.add_argument("--hours", type=float, help="length of the window (default: the stack's parameter)")
    parser.add_argument(
        "--out", type=Path, default=Path(".runs/drift/report.html"), help="(default: %(default)s)"
    )


def command(options: Namespace) -> None:
    """Run the function, print its findings, and download its report.

    Raises:
        OpsError: The report cannot be written, or the function failed.
    """
    require_writable(options.out)
    outputs = outputs_of(options.stack)
    client = boto3.client("lambda", config=Config(read_timeout=_TIMEOUT, retries={"total_max_attempts": 1}))
    event = {name: value for name in ("to", "hours") if (value := vars(options)[name]) is not None}
    answer = run(outputs["DriftFunction"], event, client)
    bucket, s3 = outputs["InsightsBucket"], boto3.client("s3")
    html, result = (
        next(k for k in answer["written"] if k.endswith(f"report.{kind}")) for kind in ("html", "json")
    )
    s3.download_file(bucket, html, str(options.out))
    report = json.loads(s3.get_object(Bucket=bucket, Key=result)["Body"].read())
    print(*describe(report), "", f"Report: {options.out} (s3://{bucket}/{html})", sep="\n")
