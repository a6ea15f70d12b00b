"""`make rehearse`: play all of it, print it as it goes, and write `.runs/rehearsal/story.html`."""

import logging
import tempfile
from pathlib import Path

from tests.rehearsal.play import play
from tests.rehearsal.stage import OPTIONS
from tests.system import ROOT, running


def main() -> None:
    """Play in a system of its own, which ends with it."""
    logging.disable(logging.WARNING)  # what the SageMaker SDK says would drown the story
    with running(*OPTIONS) as system, tempfile.TemporaryDirectory() as folder:
        story = play(system, Path(folder))
    page = ROOT / ".runs" / "rehearsal" / "story.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(story.page())
    print(f"\nThe same with pictures: {page}")


if __name__ == "__main__":
    main()
