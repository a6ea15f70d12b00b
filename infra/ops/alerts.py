"""Say when somebody is told that masks are missing: `python -m infra.ops alerts show|set FILE|list --stack …`.

`show` prints the rules that hold; `set` checks a file, says which field is wrong, or puts it in force at once and
shows what has changed; `list` prints the alerts, the newest first. docs/alerts.md says what a rule may hold.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3

from functions.alerts.rules import RulesError, parse
from functions.alerts.store import Store
from functions.alerts.watch import good_rules
from infra.ops.errors import OpsError
from infra.ops.stack import outputs_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

_LISTED: Final = 50  # alerts


def set_rules(store: Store, text: str) -> Iterator[str]:
    """Put rules in force; say in lines what has changed, and which of the sources named in them sent nothing of late.

    Raises:
        OpsError: They are malformed, or somebody else sets others; those that hold stay.
    """
    try:
        rules = parse(text)
    except RulesError as error:
        raise OpsError(f"The rules stay as they are: {error}.") from error
    before, _ = store.rules()
    if not store.set_rules(text, before):
        raise OpsError(
            "Somebody else has just set rules. Look at them with `alerts show`, then set yours again."
        )
    yield from difflib.unified_diff(before.splitlines(), text.splitlines(), "before", "now", lineterm="")
    yield "These rules hold from the next picture on."
    unseen = [name for name, rule in rules.sources.items() if rule and not store.has_seen(name)]
    if unseen:
        yield f"No picture came within a day from {', '.join(unseen)}: are these the names that the cameras send?"


def read_file(file: Path) -> str:
    """Return the text of a file, without the byte order mark that editors on Windows put before it.

    Raises:
        OpsError: It is not UTF-8, as what PowerShell's `>` writes.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise OpsError(f"{file} is not UTF-8: save it as UTF-8. The rules stay as they are.") from error


def shown(store: Store) -> str:
    """Return the rules that hold; where those that were set cannot be read, the last good ones, and say so.

    Raises:
        OpsError: What was set cannot be read.
    """
    current, good = store.rules()
    _, fault = good_rules(store)
    if fault:
        raise OpsError(
            f"{good}\nThese are the last good rules, and hold. Those that were set are not: {fault}."
        )
    return current


def listed(store: Store) -> Iterator[str]:
    """Say in lines what alerts there were of late."""
    for document in store.newest(_LISTED):
        yield f"{document['started']}  {document['status']:4}  {document['message']}"


def add_options(parser: ArgumentParser) -> None:
    """Say what to do, and to which stack."""
    parser.add_argument("action", choices=("show", "set", "list"))
    parser.add_argument("file", nargs="?", type=Path, help="JSON, for set")
    parser.add_argument("--stack", default="maskwatch", help="(default: %(default)s)")


def command(options: Namespace) -> None:
    """Show rules, set them, or list alerts.

    Raises:
        OpsError: The stack raises no alerts, there is no file, or the rules in it are malformed.
    """
    if (options.action == "set") != (options.file is not None):
        raise OpsError("Say `set FILE`, or `show` or `list` without a file.")
    outputs = outputs_of(options.stack)
    if "AlertsFunction" not in outputs:
        raise OpsError(f"{options.stack} raises no alerts: deploy it with the parameter Alerts=enabled.")
    store = Store(boto3.client("dynamodb"), outputs["AlertsTable"], days=0)
    if options.action == "set":
        for line in set_rules(store, read_file(options.file)):
            print(line)
    elif options.action == "show":
        print(shown(store))
    else:
        print("\n".join(listed(store)) or "There were no alerts.")
