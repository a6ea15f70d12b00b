"""What is removed from errors before they are logged."""

from __future__ import annotations

import re
from typing import Final

_PATH: Final = re.compile(r'(https?://[^/\s"]+/)[^\s"]*')


def without_paths(error: str) -> str:
    """Return an error with only the hosts of its URLs.

    If S3 does not answer, botocore's error has the URL of the object, and so the name of a file.
    """
    return _PATH.sub(r"\1…", error)
