"""Have a published release score every picture beside the live one: `shadow --release 2.1.0 --stack maskwatch-dev`.

What it says is recorded and compared by Drift, and answered to nobody. `challenge 0` ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.ops.challenge import begin

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_options(parser: ArgumentParser) -> None:
    """Say which release, and which stack."""
    parser.add_argument(
        "--release", metavar="VERSION", required=True, help="of one in the stack's models bucket"
    )
    parser.add_argument("--stack", required=True)


def command(options: Namespace) -> None:
    """Begin, and say what is scored.

    Raises:
        OpsError: The release must not serve, the stack takes no update, or the canary went back.
    """
    address = begin(options.stack, options.release, 0)
    print(f"{options.release} scores every picture and answers none: ChallengerUri={address}")
