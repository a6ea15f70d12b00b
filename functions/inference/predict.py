"""The Predict handler: translates API Gateway events to predictions and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from functions.inference.challenger import open_challenger, predict_with_challenger
from functions.inference.decode import Picture, decode
from functions.inference.fetch import open_release
from functions.inference.record import Recorder
from functions.inference.request import parse
from functions.inference.score import load_models
from functions.inference.settings import read_settings
from functions.inference.snapshot import renew_after_restore
from functions.inference.thread import start_thread
from functions.shared.api import Api
from functions.shared.problem import UNREADABLE_IMAGE, InputError

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import Response
    from aws_lambda_powertools.utilities.typing import LambdaContext

DECODE_SECONDS: Final = 4.0  # no known file takes 1; PredictTimeout is at least 6
CHALLENGER_SECONDS: Final = 2.0

settings = read_settings()
release = open_release(settings.model_uri)  # fails the start if the release is not valid
models = load_models(release, settings.threads)
challenger = open_challenger(settings, CHALLENGER_SECONDS)
recorder = Recorder(settings.namespace, "/predict", release.version)
renew_after_restore()
app = Api(settings.cors_origin, {"/predict": "POST", "/health": "GET"})


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer an API Gateway REST proxy event."""
    return app.resolve(event, context)


@app.post("/predict")
def predict() -> Response[str]:
    """Score the picture in the body."""
    event = app.current_event
    request = parse(
        app.body, event.headers.get("content-type") or "", app.query, from_text=not event.is_base64_encoded
    )
    app.context["source"] = request.source  # for the record of a refusal
    key = request.source or app.request_id
    prediction, shadow = predict_with_challenger(
        _decode(request.image), models, challenger, request.options, key
    )
    recorder.write_prediction(
        prediction, source=request.source, request_id=app.request_id, track=request.track
    )
    if shadow:
        recorder.write_shadow(shadow, prediction, source=request.source, request_id=app.request_id)
    return app.respond_json(prediction.to_dict())


def _decode(image: bytes) -> Picture:
    """Decode a picture, or refuse it while there is still time to answer."""
    try:
        return start_thread(lambda: decode(image)).result(DECODE_SECONDS)
    except TimeoutError as error:
        detail = f"The decoder took more than {DECODE_SECONDS:.0f} seconds. Save the picture again."
        raise InputError(UNREADABLE_IMAGE, detail) from error


@app.get("/health")
def health() -> Response[str]:
    """Return the version of the loaded release, and the state of its challenger if there is one."""
    details = {"challenger": challenger.describe()} if challenger else {}
    return app.respond_json({"status": "ok", "model_version": release.version, **details})


@app.exception_handler(InputError)  # type: ignore[untyped-decorator]
def refuse(refusal: InputError) -> Response[str]:
    """Answer with a problem document."""
    recorder.write_refusal(refusal.problem, request_id=app.request_id, source=app.context.get("source"))
    return app.refuse(refusal.problem, refusal.detail)
