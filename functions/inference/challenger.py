"""A challenger: a second release beside the serving one, for an A/B test or in shadow mode.

It answers a share of the sources; with a share of 0, it scores every picture in shadow mode. If it fails, the failure
is logged and counted, and the serving release answers.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger

from functions.inference.fetch import open_release
from functions.inference.score import Models, load_models, score
from functions.inference.thread import start_thread
from functions.shared.emf import write_counts

if TYPE_CHECKING:
    from concurrent.futures import Future

    from functions.inference.decode import Picture
    from functions.inference.prediction import Prediction, PredictOptions
    from functions.inference.settings import Settings

RETRY_SECONDS: Final = 60.0  # between attempts to load a release

logger = Logger(serialize_stacktrace=False)


class Challenger:
    """The challenger that the settings name, which is loaded when it is first needed. Not thread-safe.

    Args:
        settings: The configuration.
        timeout: Seconds that one picture waits for it, also for loading.
    """

    def __init__(self, settings: Settings, timeout: float) -> None:
        self._settings, self._timeout = settings, timeout
        self._uri, self._percentage = settings.challenger_uri, settings.challenger_percentage
        self._loading: Future[Models | None] | None = None  # a result of None means that loading failed
        self._retry_at = 0.0
        self._stuck = False

    @property
    def in_shadow(self) -> bool:
        """Whether it is in shadow mode."""
        return self._percentage == 0

    def answers(self, key: str) -> bool:
        """Return whether it answers the pictures of a source.

        The hash includes the release, so that different challengers get different sources.
        """
        name = f"{self._uri} {key}".encode(errors="surrogatepass")
        position = int.from_bytes(blake2b(name, digest_size=8).digest(), "big") / 2**64  # uniform from 0 to 1
        return position < self._percentage / 100

    def load(self) -> Models | None:
        """Return the loaded release; None if it cannot be loaded or is not loaded yet.

        Only the call that starts loading waits for it; loading continues in the background.
        """
        loading, timeout = self._loading, 0.0
        if loading is None or (loading.done() and not loading.result() and time.monotonic() > self._retry_at):
            loading = self._loading = start_thread(self._open)
            timeout = self._timeout
        try:
            return loading.result(timeout)
        except TimeoutError:
            return None

    def score(self, picture: Picture, options: PredictOptions) -> Prediction | None:
        """Score a picture; return None if the challenger fails."""
        models = self.load()
        if models is None:
            return None
        if self._stuck:
            self._count_failure(TimeoutError("on an earlier picture"), "the challenger is not used")
            return None
        try:
            return start_thread(lambda: score(picture, models, options)).result(self._timeout)
        except TimeoutError as error:
            self._stuck = True  # its networks may still be running, and are not thread-safe
            self._count_failure(error, "the challenger takes too long and is not used any more")
        except Exception as error:  # noqa: BLE001 -- the serving release answers
            self._count_failure(error, "the challenger failed")
        return None

    def describe(self) -> dict[str, Any]:
        """Return its release, state and share, for `GET /health`."""
        models = self.load()
        return {
            "status": "ok" if models and not self._stuck else "failed",
            "model_version": models.version if models else None,
            "share": self._percentage,
            "shadow": self.in_shadow,
        }

    def _open(self) -> Models | None:
        try:
            return load_models(open_release(self._uri), self._settings.threads)
        except BaseException as error:  # noqa: BLE001 -- a release may fail in any way
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._count_failure(error, "the challenger cannot be loaded")
            return None

    def _count_failure(self, error: BaseException, what: str) -> None:
        logger.warning(what, challenger=self._uri, error=repr(error))
        write_counts(self._settings.namespace, {"service": self._settings.service}, {"ChallengerFailures": 1})


def open_challenger(settings: Settings, timeout: float) -> Challenger | None:
    """Return the challenger that the settings name, not loaded yet; None if they name none."""
    return Challenger(settings, timeout) if settings.challenger_uri else None


def predict_with_challenger(
    picture: Picture, serving: Models, challenger: Challenger | None, options: PredictOptions, key: str
) -> tuple[Prediction, Prediction | None]:
    """Return the answer, and the shadow prediction if the challenger is in shadow mode.

    `key` decides which release answers: the source, or another id if there is none.
    """
    if challenger is None:
        return score(picture, serving, options), None
    if challenger.answers(key) and (prediction := challenger.score(picture, options)):
        return prediction, None
    answer = score(picture, serving, options)
    return answer, challenger.score(picture, options) if challenger.in_shadow else None
