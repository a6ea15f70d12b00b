"""An object in the uploads bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Upload:
    """An object in a bucket; its version and ETag (without quotes) as far as they are known."""

    bucket: str
    key: str
    version: str | None = None
    etag: str | None = None


@dataclass(frozen=True)
class UploadedObject:
    """What lies under an upload's key: `source` as S3 tells it, when it came, the bytes, unread; None: it is gone."""

    upload: Upload
    source: str = ""
    uploaded: datetime | None = None
    size: int = 0
    body: Any = None

    def close(self) -> None:
        """Read no further."""
        if self.body is not None:
            self.body.close()
