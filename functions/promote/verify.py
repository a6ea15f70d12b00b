"""Verifies that a release may serve: its checksums, its contract, and that it scores a picture."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from functions.inference.decode import Picture
from functions.inference.fetch import open_release
from functions.inference.prediction import PredictOptions
from functions.inference.release import ReleaseError
from functions.inference.score import load_models, score
from functions.promote.errors import RefusedError
from functions.shared.release_files import MANIFEST
from functions.shared.s3 import parse_uri, read

if TYPE_CHECKING:
    from functions.inference.release import Release

_PREFIX: Final = re.compile("models/[A-Za-z0-9._-]+/?")  # as ModelUri's pattern in template.yaml
_SIDE: Final = 256  # pixels of the picture
_ROUNDING: Final = 0.01
_SERVER_ERROR: Final = 500


def verify(uri: str, version: str, digest: str, s3: Any) -> str:
    """Verify a release as the inference functions do, score a picture, and return its address for `ModelUri`.

    Args:
        uri: s3://bucket/models/<version>/.
        version: The version that its manifest must have; empty for any.
        digest: The SHA-256 that its manifest must have; empty for any.
        s3: A boto3 client.

    Raises:
        RefusedError: The release must not serve.
        ClientError: S3 failed; try again.
        ReleaseError: S3 failed while the release was downloaded; try again.
    """
    location = parse_uri(uri)
    if location is None or not _PREFIX.fullmatch(location.key):
        raise RefusedError(
            f"{uri or 'nothing'} is not an address of the form s3://<bucket>/models/<version>/"
        )
    try:
        manifest = read(s3, location.bucket, f"{location.key.rstrip('/')}/{MANIFEST}")
    except ClientError as error:
        if _is_transient(error):
            raise
        raise RefusedError(f"{uri} cannot be read: {error}") from error
    if manifest is None:
        raise RefusedError(f"there is no release in {uri}; publish it first (make publish-model)")
    address = f"{uri.rstrip('/')}/#{digest or hashlib.sha256(manifest).hexdigest()}"
    try:
        release = open_release(address)
    except ReleaseError as error:
        if _is_transient(error.__cause__):
            raise
        raise RefusedError(str(error)) from error
    if version and release.version != version:
        raise RefusedError(f"{uri} is release {release.version}, not {version}")
    _score_a_picture(release)
    return address


def _is_transient(cause: BaseException | None) -> bool:
    """Return whether a failure to fetch a release may be over at the next attempt."""
    if isinstance(cause, ClientError):
        return bool(cause.response["ResponseMetadata"]["HTTPStatusCode"] >= _SERVER_ERROR)
    return isinstance(cause, (BotoCoreError, Boto3Error))


def _score_a_picture(release: Release) -> None:
    shade = np.linspace(0, 255, _SIDE, dtype=np.uint8)
    pixels = np.stack([*np.meshgrid(shade, shade), np.full((_SIDE, _SIDE), 128, np.uint8)], axis=-1)
    try:
        models = load_models(release, threads=1)
        score(Picture(pixels, _SIDE, _SIDE, 0), models, PredictOptions())
        result = models.classifier.classify(pixels)
    except Exception as error:
        raise RefusedError(f"the release cannot score a picture: {error!r}") from error
    if not abs(sum(result.probabilities) - 1) < _ROUNDING:  # also true if one is NaN
        raise RefusedError(f"the release's probabilities do not sum to 1: {list(result.probabilities)}")
