"""`make rehearse`: run all steps, print their evidence, and write `.runs/rehearsal/report.html`."""

import logging
import tempfile
from pathlib import Path

from tests.rehearsal.environment import OPTIONS
from tests.rehearsal.steps import rehearse
from tests.system import ROOT, running


def main() -> None:
    """Rehearse in a local stack of its own, which ends afterwards."""
    logging.disable(logging.WARNING)  # messages of the SageMaker SDK would hide the steps
    with running(*OPTIONS) as system, tempfile.TemporaryDirectory() as folder:
        report = rehearse(system, Path(folder))
    page = ROOT / ".runs" / "rehearsal" / "report.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report.to_html())
    print(f"\nThe report with pictures: {page}")


if __name__ == "__main__":
    main()
