"""Show or set the rules of alerts, or list alerts: `python -m infra.ops alerts show|set FILE|list --stack …`.

`show` prints the rules in force. `set` validates a file, puts it in force and prints the difference. `list` prints
the alerts, newest first. docs/alerts.md describes the rules.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3

from functions.alerts.rules import RulesError, parse, rules_in_force
from functions.alerts.store import Store
from infra.ops.errors import OpsError
from infra.ops.stack import add_stack, outputs_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

_MAX_LISTED: Final = 50  # alerts


def set_rules(store: Store, text: str) -> list[str]:
    """Put rules in force; return lines with the difference and the sources in them that sent nothing recently.

    Raises:
        OpsError: The rules are malformed, or somebody else has just set others; nothing was changed.
    """
    try:
        rules = parse(text)
    except RulesError as error:
        raise OpsError(f"The rules stay as they are: {error}.") from error
    before, _ = store.rules()
    # They may be the own ones, if DynamoDB's first answer was lost and boto3 tried again.
    if not store.set_rules(text, before) and store.rules()[0] != text:
        raise OpsError(
            "Somebody else has just set rules. Check them with `alerts show`, then set yours again."
        )
    difference = difflib.unified_diff(before.splitlines(), text.splitlines(), "before", "now", lineterm="")
    lines = [*difference, "These rules are in force from the next picture on."]
    unseen = [name for name, rule in rules.sources.items() if rule and not store.is_active(name)]
    if unseen:
        lines.append(
            f"No picture came within a day from {', '.join(unseen)}: are these the names that the cameras send?"
        )
    return lines


def read_file(file: Path) -> str:
    """Return the text of a UTF-8 file without the byte order mark that editors on Windows write.

    Raises:
        OpsError: The file is not UTF-8; PowerShell's `>` writes UTF-16.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise OpsError(f"{file} is not UTF-8: save it as UTF-8. The rules stay as they are.") from error


def current_rules(store: Store) -> str:
    """Return the rules in force.

    Raises:
        OpsError: The rules that were set are not valid; the message has the last good ones.
    """
    current, good = store.rules()
    _, fault = rules_in_force(current, good)
    if fault:
        raise OpsError(
            f"{good}\nThese are the last good rules. They are in force, unless this says otherwise: {fault}."
        )
    return current


def list_alerts(store: Store) -> Iterator[str]:
    """Yield a line for each recent alert."""
    for document in store.newest(_MAX_LISTED):
        yield f"{document['started']}  {document['status']:4}  {document['message']}"


def add_options(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("action", choices=("show", "set", "list"))
    parser.add_argument("file", nargs="?", type=Path, help="JSON, for set")
    add_stack(parser)


def command(options: Namespace) -> None:
    """Show rules, set them, or list alerts.

    Raises:
        OpsError: The stack raises no alerts, or the arguments or the rules are malformed.
    """
    if (options.action == "set") != (options.file is not None):
        raise OpsError("Use `set FILE`, or `show` or `list` without a file.")
    outputs = outputs_of(options.stack)
    if "AlertsFunction" not in outputs:
        raise OpsError(f"{options.stack} raises no alerts: deploy it with the parameter Alerts=enabled.")
    store = Store(boto3.client("dynamodb"), outputs["AlertsTable"], days=0)
    if options.action == "set":
        print("\n".join(set_rules(store, read_file(options.file))))
    elif options.action == "show":
        print(current_rules(store))
    else:
        print("\n".join(list_alerts(store)) or "There were no alerts.")
