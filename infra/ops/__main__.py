"""The operator's commands: `python -m infra.ops COMMAND --stack …`.

A command that cannot do its job says why in one line and exits with status 1.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.ops.errors import OpsError, explain
from maskwatch.client import ApiError

# A command is the module of its name; only the one that is given is imported: some need Evidently, some only boto3.
COMMANDS: Final = {
    "alerts": "show or set the rules by which somebody is told of missing masks, or list the alerts",
    "backfill": "score what is in the uploads bucket already",
    "baseline": "make the records of a good time what drift is measured against",
    "collect": "make training pictures of feedback and the uploads that it is about",
    "challenge": "have a second release answer a share of the sources, or no longer",
    "cost": "print what a million pictures cost",
    "demo-drift": "send pictures as they are and changed, and show what the Drift function finds",
    "destroy": "delete a stack; its buckets stay",
    "drift": "run the Drift function now, and say what it found",
    "images": "name the images of a package by digest, or keep those that run",
    "promote": "verify a published release and make it serve",
    "publish-model": "upload a model release to the models bucket",
    "purge": "empty and delete the buckets that a deleted stack left",
    "redrive": "send failed uploads, and log lines that Alerts could not count, on their way again",
    "rollback": "make the release serve that did before, without a challenger",
    "score": "upload a folder of pictures, wait, and write a table of the results",
    "shadow": "have a second release score every picture, and answer none",
    "smoke": "check that a deployed API answers",
    "stack": "print an output of a stack",
}


def main(arguments: list[str] | None = None) -> None:
    """Run a command as the command line says; exit 1 where it cannot do its job, 2 where the line is wrong."""
    parser = argparse.ArgumentParser(prog="python -m infra.ops", description=__doc__)
    listing = "\n".join(f"  {name:15}{text}" for name, text in COMMANDS.items())
    parser.epilog = f"commands:\n{listing}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="…", help="COMMAND --help lists them")
    chosen = parser.parse_args(arguments)
    module: Any = importlib.import_module(f"infra.ops.{chosen.command.replace('-', '_')}")
    own = argparse.ArgumentParser(prog=f"{parser.prog} {chosen.command}", description=module.__doc__)
    module.add_options(own)
    options = own.parse_args(chosen.options)
    try:
        module.command(options)
    except (BotoCoreError, ClientError) as error:
        sys.exit(explain(error))
    except (OpsError, ApiError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped.")


if __name__ == "__main__":
    main()
