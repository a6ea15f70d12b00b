"""Find out who wears a mask in pictures, and how many did over time, with a MaskWatch API."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tqdm import tqdm

from maskwatch import audit
from maskwatch.arguments import checked
from maskwatch.client import LABELS, LOCAL, ApiError, Client, UnreachableError
from maskwatch.frame_writer import VIDEO_ENDINGS
from maskwatch.frames import NoFramesError
from maskwatch.output import FORMATS, Response, compliance_table, printable
from maskwatch.pictures import ENDINGS, Picture, UsageError, find
from maskwatch.score import score
from maskwatch.source import is_video
from maskwatch.watch import watch as watch_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_EPILOG: Final = """
exit status:
  0  success
  1  a picture was refused, or the service could not be reached
  2  the command line is wrong

The address and the key of the API can be set in MASKWATCH_URL and MASKWATCH_KEY;
the default is the API that `make run` starts on this machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name may have characters that cannot be printed. CSV is UTF-8, as its byte order mark says.
        encoding = "utf-8" if options.format == "csv" else None
        sys.stdout.reconfigure(errors="backslashreplace", encoding=encoding)
    try:
        client = Client(options.url, options.key, options.connections, retry=options.retry)
        status: int = options.run(client, options)
        sys.stdout.flush()
    except UsageError as error:
        parser.error(str(error))
    except (ApiError, NoFramesError) as refusal:
        print(f"maskwatch: {printable(_explain(refusal))}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.filename is not None:
            print(f"maskwatch: {printable(str(error))}", file=sys.stderr)
            return 1
        if not isinstance(error, BrokenPipeError):  # whose reader has gone
            print(f"maskwatch: the output cannot be written: {error.strerror or error}", file=sys.stderr)
        # Keep the interpreter from flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(130)  # else Python would wait for all requests
    return status


def _explain(error: ApiError | NoFramesError) -> str:
    """Return why the command failed and, if an option of it is to blame, which one."""
    reason, advice = str(error).rstrip("."), ""
    problem = error.problem if isinstance(error, ApiError) else ""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        advice = "Set SSL_CERT_FILE to your network's certificates (docs/command-line.md)."
        if "not yet valid" in reason or "expired" in reason:
            advice = "Is this machine's clock right?"
        elif "mismatch" in reason:
            advice = "Log in to the network first if it has a login page; else check MASKWATCH_URL or --url."
    elif isinstance(error, UnreachableError):
        advice = "Is `make run` running? Else set MASKWATCH_URL or --url."
    elif problem == "not-found":
        advice = "Check MASKWATCH_URL or --url."
    elif problem == "forbidden":
        advice = "Set MASKWATCH_KEY or --key."
    return f"{reason}. {advice}" if advice else str(error)


def predict(client: Client, options: argparse.Namespace) -> int:
    """Score pictures, and print a line for each, in order, as soon as it is known."""
    pictures, left_out = find(options.pictures)
    copies = _copies(pictures, options.draw) if options.draw else [None] * len(pictures)
    query = {
        "source": options.source or None,
        "min_confidence": options.min_confidence,
        "detect": "false" if options.no_detect else None,
    }
    names = [picture.name for picture in pictures]
    refused = 0
    sample: list[Response] = []

    def responses() -> Iterator[Response]:
        nonlocal refused
        pool = ThreadPoolExecutor(options.connections)
        try:
            for response in pool.map(lambda *job: score(client, query, *job), pictures, copies):
                refused += response.answer is None
                if (
                    options.audit
                    and response.answer
                    and audit.in_audit_sample(response.answer["prediction_id"])
                ):
                    sample.append(response)
                bar.update()
                yield response
        finally:  # without waiting for answers, which a dead line delays by minutes
            pool.shutdown(wait=False, cancel_futures=True)

    # tqdm shows no bar without a terminal, where it would only fill a log.
    with tqdm(total=len(pictures), unit=" pictures", disable=None, leave=False) as bar:
        for line in FORMATS[options.format](responses(), names):
            tqdm.write(line, file=sys.stdout)
    if options.audit:
        audit.ask_for_labels(client, sample)
    if left_out:
        print(f"maskwatch: files left out, not {ENDINGS}: {left_out:,}", file=sys.stderr)
    return 1 if refused else 0


def feedback(client: Client, options: argparse.Namespace) -> int:
    """Send the actual label of a prediction."""
    kept = client.feedback(options.prediction_id, options.label, audit=options.audit)
    print(f"Stored: {kept['prediction_id']} is {kept['label']}")
    return 0


def compliance(client: Client, options: argparse.Namespace) -> int:
    """Print compliance by day or by hour."""
    names = ("from", "to", "by", "source", "tz")
    query = {name: getattr(options, name) for name in names}
    if options.format == "csv":
        print(client.compliance_csv(**query).replace("\r\n", "\n"), end="")  # Windows adds the "\r" again
        return 0
    answer = client.compliance(**query)
    print("\n".join(compliance_table(answer)) if options.format == "table" else json.dumps(answer))
    return 0


def watch(client: Client, options: argparse.Namespace) -> int:
    """Track people in a video, in front of a camera or in a growing folder, and print a line for each event."""
    if not options.camera:
        raise UsageError("give a CAMERA to watch, or set MASKWATCH_CAMERA")
    if options.speed is not None and not is_video(options.camera):
        raise UsageError("--speed is only for videos, not for a camera or a folder")
    watch_frames(
        client,
        options.camera,
        source=options.source,
        rate=options.rate,
        speed=options.speed,
        alert_after=options.alert_after,
        draw_to=options.draw,
    )
    return 0


def _copies(pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Return the path of each picture's annotated copy.

    Raises:
        UsageError: Two copies would have the same path, a copy would replace one of the pictures, or the copies'
            folder contains one of the pictures or cannot be written.
    """
    copies = [folder / picture.copy for picture in pictures]
    twice = [copy for copy, times in Counter(copies).items() if times > 1]
    if twice:
        raise UsageError(
            f"more than one picture would be drawn as {twice[0]}; draw them into separate folders"
        )
    # By device and inode: one folder has several names on a disk that ignores case, as on macOS.
    into = _identity(folder)
    for picture in pictures:
        if picture.path and into and into in map(_identity, Path(os.path.realpath(picture.path)).parents):
            raise UsageError(
                f"{picture.name} is in {folder}, the folder of the annotated copies; choose another folder for them"
            )
    real = (Path(os.path.realpath(picture.path)) for picture in pictures if picture.path)
    originals = {(_identity(path.parent), path.name) for path in real}
    for copy in copies:  # a folder among the copies may be a link
        if (_identity(copy.parent), copy.name) in originals:
            raise UsageError(f"{copy} is one of the pictures; choose another folder for the annotated copies")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error
    return copies


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _parser() -> argparse.ArgumentParser:
    service = argparse.ArgumentParser(add_help=False)
    service.add_argument(
        "--url", type=_url, default=os.environ.get("MASKWATCH_URL") or LOCAL[0], help="base URL of the API"
    )
    service.add_argument("--key", default=os.environ.get("MASKWATCH_KEY") or LOCAL[1], help="API key")
    parser = argparse.ArgumentParser(
        prog="maskwatch",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("maskwatch"))
    parser.set_defaults(connections=1, retry=True, format="")  # of commands without these options
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("predict", parents=[service], help="score pictures")
    command.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help="a file, a folder, or - for standard input"
    )
    command.add_argument("--format", choices=FORMATS, default="table", help="default: %(default)s")
    command.add_argument(
        "--draw", type=Path, metavar="DIR", help="write annotated copies of the pictures to this folder"
    )
    command.add_argument("--source", type=_text, help="the camera or site that the pictures are from")
    command.add_argument(
        "--min-confidence", type=_share, metavar="SHARE", help="below it, 0 to 1, a label is `uncertain`"
    )
    command.add_argument(
        "--no-detect", action="store_true", help="do not detect faces: the pictures are cropped faces"
    )
    command.add_argument(
        "--connections", type=_count, default=8, help="number of concurrent requests (default: %(default)s)"
    )
    command.add_argument(
        "--audit",
        action="store_true",
        help="ask for the actual labels of the audit sample, one picture in a hundred",
    )
    command.set_defaults(run=predict)

    command = commands.add_parser("feedback", parents=[service], help="send the actual label of a prediction")
    command.add_argument("prediction_id", metavar="ID", help="the id in the answer")
    command.add_argument("label", choices=LABELS)
    command.add_argument("--audit", action="store_true", help="the prediction is in the audit sample")
    command.set_defaults(run=feedback)

    command = commands.add_parser("compliance", parents=[service], help="show who wore a mask over time")
    command.add_argument(
        "--from",
        type=_text,
        metavar="TIME",
        help="the first day, or hour such as 2026-11-22T09 (UTC); default: a week",
    )
    command.add_argument("--to", type=_text, metavar="TIME", help="the last day or hour; default: today")
    command.add_argument("--by", choices=("day", "hour"), help="default: day")
    command.add_argument("--source", type=_text, help="only of this camera or site")
    command.add_argument(
        "--format", choices=("table", "json", "csv"), default="table", help="default: %(default)s"
    )
    command.add_argument(
        "--tz", type=_text, metavar="ZONE", help="time zone of the days, such as Europe/Berlin; default: UTC"
    )
    command.set_defaults(run=compliance)

    command = commands.add_parser(
        "watch", parents=[service], help="track people in front of a camera or in a video"
    )
    command.add_argument(
        "camera",
        nargs="?",
        default=os.environ.get("MASKWATCH_CAMERA"),
        metavar="CAMERA",
        help="a video, a device such as /dev/video0, an rtsp:// or MJPEG http(s):// address, or a growing folder;"
        " set MASKWATCH_CAMERA instead for an address with a password, which a list of processes would show",
    )
    command.add_argument("--source", type=_text, help="name of the camera or site in records and events")
    command.add_argument(
        "--rate",
        type=_positive,
        default=5,
        metavar="N",
        help="frames per second, each of which is a request (default: %(default)s)",
    )
    command.add_argument(
        "--speed",
        type=_positive,
        metavar="N",
        help="play a video N times as fast as recorded, and skip frames if the service is slower;"
        " default: skip none, however long it takes",
    )
    command.add_argument(
        "--alert-after",
        type=_positive,
        default=3,
        metavar="SECONDS",
        help="seconds without a mask after which an alert begins (default: %(default)s)",
    )
    command.add_argument(
        "--draw",
        type=Path,
        metavar="PATH",
        help=f"write annotated frames to this video ({' or '.join(VIDEO_ENDINGS)}) or stills to this folder",
    )
    command.set_defaults(run=watch, retry=False)
    return parser


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} does not start with http:// or https://")
    return text


def _text(text: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise argparse.ArgumentTypeError(f"{text!r} is not in the encoding of this terminal")
    return text


_share = checked(float, lambda number: 0 <= number <= 1, "a number from 0 to 1")
_positive = checked(float, lambda number: 0 < number < math.inf, "a number above 0")
_count = checked(int, lambda number: number >= 1, "a whole number of at least 1")


if __name__ == "__main__":
    sys.exit(main())
