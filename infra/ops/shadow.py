"""Let a published release score every picture beside the serving one: `shadow --release 2.1.0 --stack maskwatch-dev`.

Its predictions are recorded and compared by Drift, but never returned to clients. `challenge 0` ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.ops.challenge import begin
from infra.ops.stack import add_stack

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_options(parser: ArgumentParser) -> None:
    """Add the release and the stack."""
    parser.add_argument(
        "--release",
        metavar="VERSION",
        required=True,
        help="version of a release in the stack's models bucket",
    )
    add_stack(parser)


def command(options: Namespace) -> None:
    """Start the shadow.

    Raises:
        OpsError: See `begin`.
    """
    address = begin(options.stack, options.release, 0)
    print(f"{options.release} scores every picture and answers none: ChallengerUri={address}")
