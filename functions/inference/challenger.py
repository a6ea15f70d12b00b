"""A challenger: a second release beside the live one, for an A/B test.

It answers a share of the sources, or none and scores every picture in the shadow of the live release. Whatever goes
wrong with it costs no answer: it is logged and counted, and the live release answers.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import Future
from hashlib import blake2b
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger

from functions.inference.deadline import call_within
from functions.inference.fetch import open_release
from functions.inference.score import Models, load_models, score
from functions.shared.emf import emf_line

if TYPE_CHECKING:
    from functions.inference.decode import Picture
    from functions.inference.prediction import Prediction, PredictOptions
    from functions.inference.settings import Settings

RETRY_SECONDS: Final = 60.0  # after a release could not be loaded, before it is tried again

logger = Logger(serialize_stacktrace=False)


class Challenger:
    """A release that is loaded when it is first needed. For one thread at a time.

    Args:
        uri: Of the release; see `open_release`.
        share: Percent of the sources that it answers; 0: it scores in the shadow.
        threads: For one inference.
        namespace: Of the CloudWatch metrics.
        patience: Seconds that one picture waits for it, and so for its first load.
    """

    def __init__(self, uri: str, share: float, threads: int, namespace: str, patience: float) -> None:
        self.share = share
        self._uri, self._threads, self._namespace, self._patience = uri, threads, namespace, patience
        self._loading: Future[Models | None] | None = None  # None in the end: it cannot be loaded
        self._retry_at = 0.0
        self._hangs = False

    @property
    def in_shadow(self) -> bool:
        """Whether it answers nothing, and scores every picture."""
        return self.share == 0

    def answers(self, key: str) -> bool:
        """Whether it answers the pictures of a source: the same for as long as it is the challenger.

        The hash is salted with the release, so that it is not the same cameras that get every challenger.
        """
        name = f"{self._uri} {key}".encode(errors="surrogatepass")
        return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") < self.share / 100 * 2**64

    def load(self) -> Models | None:
        """Return the loaded release, None where it cannot be loaded or is not loaded in time.

        Only the first call waits; a load that takes longer goes on beside the next pictures.
        """
        loading, patience = self._loading, 0.0
        if loading is None or (loading.done() and not loading.result() and time.monotonic() > self._retry_at):
            loading, patience = Future(), self._patience
            self._loading = loading
            Thread(target=self._load_into, args=(loading,), daemon=True).start()
        try:
            return loading.result(patience)
        except TimeoutError:
            return None

    def score(self, picture: Picture, options: PredictOptions) -> Prediction | None:
        """Score a picture; None where the challenger fails."""
        models = self.load()
        if models is None:
            return None
        if self._hangs:
            self._count_failure(TimeoutError("on an earlier picture"), "the challenger is left out")
            return None
        try:
            return call_within(self._patience, lambda: score(picture, models, options))
        except TimeoutError as error:
            self._hangs = True  # its networks may still be running: not for a second thread
            self._count_failure(error, "the challenger takes too long and is left out")
        except Exception as error:  # noqa: BLE001 -- whatever it is, the live release answers
            self._count_failure(error, "the challenger failed")
        return None

    def describe(self) -> dict[str, Any]:
        """Say which release it is, and how it is used, for `GET /health`."""
        models = self.load()
        return {
            "status": "ok" if models and not self._hangs else "failed",
            "model_version": models.version if models else None,
            "share": self.share,
            "shadow": self.in_shadow,
        }

    def _load_into(self, future: Future[Models | None]) -> None:
        try:
            future.set_result(load_models(open_release(self._uri), self._threads))
        except BaseException as error:  # noqa: BLE001 -- a release may fail in any way
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._count_failure(error, "the challenger cannot be loaded")
            future.set_result(None)

    def _count_failure(self, error: BaseException, what: str) -> None:
        logger.warning(what, challenger=self._uri, error=repr(error))
        members = {"service": os.environ.get("POWERTOOLS_SERVICE_NAME", "local")}
        metrics = {"ChallengerFailures": 1}
        print(emf_line(self._namespace, time.time(), [list(members)], members, metrics, {}, "Count"))  # noqa: T201 -- Lambda's log


def open_challenger(settings: Settings, patience: float) -> Challenger | None:
    """Return the challenger that the settings name, if any; it is not loaded yet."""
    if not settings.challenger_uri:
        return None
    return Challenger(
        settings.challenger_uri, settings.challenger_share, settings.threads, settings.namespace, patience
    )


def score_both(
    picture: Picture, live: Models, challenger: Challenger | None, options: PredictOptions, key: str
) -> tuple[Prediction, Prediction | None]:
    """Return the answer, and what a challenger says in its shadow.

    Args:
        picture: What is scored.
        live: The release that answers where the challenger does not.
        challenger: None where there is none.
        options: How the picture is scored.
        key: The source, or what else decides who answers.
    """
    if challenger is None:
        return score(picture, live, options), None
    if challenger.answers(key) and (prediction := challenger.score(picture, options)):
        return prediction, None
    answer = score(picture, live, options)
    return answer, challenger.score(picture, options) if challenger.in_shadow else None
