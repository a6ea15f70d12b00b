"""The operator's commands: `python -m infra.ops COMMAND --stack …`.

A command that fails prints the reason in one line and exits with status 1.
"""

from __future__ import annotations

import argparse
import importlib
import io
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from infra.ops.region import use_region

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each command is the module of its name. Only the chosen one is imported, since some need Evidently, some only boto3.
COMMANDS: Final = {
    "alerts": "show or set the rules for alerts, or list the alerts",
    "backfill": "score objects that are already in the uploads bucket",
    "baseline": "build the baseline for drift from the records of a good period",
    "collect": "turn feedback and its uploads into training pictures",
    "challenge": "let a second release answer a share of the sources, or end that",
    "cost": "print the cost of a million pictures",
    "demo-drift": "score pictures unchanged and changed, and show the drift that is found",
    "destroy": "delete a stack, except its buckets and its table of alerts and rules",
    "drift": "run the Drift function now, and print its findings",
    "images": "pin the images of a package by digest, or keep those that run",
    "promote": "verify a published release, and make it serve",
    "publish-model": "upload a model release to the models bucket",
    "purge": "delete the buckets and the table that a deleted stack left",
    "redrive": "retry failed uploads and failed deliveries to Alerts, and count their errors",
    "rollback": "make the previous release serve again, without a challenger",
    "score": "upload a folder of pictures, wait, and write a table of the results",
    "shadow": "let a second release score every picture without answering",
    "smoke": "check that a deployed API answers",
    "stack": "print an output of a stack",
}
_INSTALLED: Final = (
    "Run this with .venv/bin/python: `make tools` creates it, `make .venv/drift.stamp` adds what baseline, drift and "
    "demo-drift need."
)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exit with 1 if it fails, with 2 if the command line is wrong."""
    parser = argparse.ArgumentParser(prog="python -m infra.ops", description=__doc__)
    listing = "\n".join(f"  {name:15}{text}" for name, text in COMMANDS.items())
    parser.epilog = f"commands:\n{listing}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="…", help="COMMAND --help lists them")
    chosen = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A source may have characters that a terminal cannot show. What a file or a program gets is UTF-8.
        encoding = None if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(errors="backslashreplace", encoding=encoding)
    use_region()
    try:
        module: Any = importlib.import_module(f"infra.ops.{chosen.command.replace('-', '_')}")
        from infra.ops.errors import AWS_ERRORS, OpsError, explain  # noqa: PLC0415 -- another Python lacks boto3
        from infra.ops.stack import add_stack  # noqa: PLC0415
        from maskwatch.client import ApiError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.exit(f"There is no {error.name} in this Python. {_INSTALLED}")
    own = argparse.ArgumentParser(prog=f"{parser.prog} {chosen.command}", description=module.__doc__)
    getattr(module, "add_options", add_stack)(own)  # a module without it needs only the stack
    options = own.parse_args(chosen.options)
    try:
        with _signals_end_like_ctrl_c():
            module.command(options)
    except (OpsError, ApiError, OSError, *AWS_ERRORS) as error:
        sys.exit(explain(error))
    except (EOFError, KeyboardInterrupt):  # EOF where nobody can answer a question
        sys.exit("Stopped.")


@contextmanager
def _signals_end_like_ctrl_c() -> Iterator[None]:
    """Let a closed terminal and `kill` end a command like Ctrl-C, so that it cleans up; `nohup` stays in force."""
    own = [each for each in (signal.SIGHUP, signal.SIGTERM) if signal.getsignal(each) is signal.SIG_DFL]

    def end(*_: object) -> None:
        for each in own:
            signal.signal(each, signal.SIG_IGN)  # both the terminal and the shell send it
        raise KeyboardInterrupt

    for each in own:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each in own:
            signal.signal(each, signal.SIG_DFL)


if __name__ == "__main__":
    main()
