"""The Drift handler: writes a report on a window when a schedule or an operator invokes it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger

from functions.drift import metrics
from functions.drift.run import BaselineError, run
from functions.drift.settings import read_settings
from functions.drift.window import parse_window
from functions.shared.emf import write_line
from functions.shared.s3 import create_client

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

RESERVE: Final = 180.0  # seconds before the timeout when reading ends, left for comparing and reporting

settings = read_settings()
logger = Logger()
s3 = create_client(read_timeout=20, attempts=4, connections=20)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Report on the window that ends at the event's `to` (default: now) and has `hours` (default: the settings').

    Raises:
        BaselineError: The baseline cannot be read. Whatever needs no baseline was written before.
    """
    started = time.monotonic()
    window = parse_window(event, settings.window_hours, datetime.now(UTC))
    result = run(s3, settings, window, lambda: context.get_remaining_time_in_millis() / 1e3 - RESERVE)
    report, seconds = result.report, time.monotonic() - started
    for line in metrics.lines(settings.namespace, settings.service, report, result.new_findings, seconds):
        write_line(line)
    for note in report.notes:
        logger.warning(note)
    if result.error:
        raise BaselineError(result.error)
    document = report.to_dict()
    return {
        "verdict": report.verdict,
        "written": list(result.written),
        **{name: document[name] for name in ("window", "counts", "notes")},
    }
