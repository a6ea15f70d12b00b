"""An object in the uploads bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Upload:
    """An object in a bucket; version and ETag (without quotes) are None if not known."""

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None


@dataclass(frozen=True)
class UploadedObject:
    """The current object under an upload's key; `body` is a stream, or None if the object was deleted."""

    upload: Upload
    source: str = ""
    uploaded: datetime | None = None
    size: int = 0
    body: Any = None

    def close(self) -> None:
        """Close the stream."""
        if self.body is not None:
            self.body.close()
