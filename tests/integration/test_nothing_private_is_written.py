"""Neither handler logs any part of a picture, in any encoding, the API key, or the name of a file."""

import base64
import gzip
import io
import itertools
import json
import logging
import time
from collections.abc import Callable
from urllib.parse import quote

import numpy as np
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ReadTimeoutError
from PIL import Image

from functions.inference import predict
from functions.inference import score as scoring
from functions.shared import api
from tests.batch import batch_on_moto, context, message, notification
from tests.make_events import BOUNDARY, api_event, form
from tests.pictures import draw_face, encode

KEY = "Zq7c0nF1dEnT1aLk3yTh4tN0b0dyMuStS33"
FACE = encode(draw_face(), quality=80)
RUN = 9  # consecutive bytes of a picture that must not appear in the output


def grainy(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return encode(Image.fromarray(pixels), quality=90)


def spellings(data: bytes) -> set[str]:
    """Return pieces of a file in every text encoding."""
    pieces = [data[start : start + RUN] for start in range(0, min(len(data), 6000) - RUN, 7)]
    encoded = base64.b64encode(data[:8000]).decode()
    shifted = (base64.b64encode(data[shift:8000]).decode() for shift in (1, 2))
    found = {
        text[start : start + 16] for text in (encoded, *shifted) for start in range(0, len(text) - 16, 11)
    }
    for piece in pieces:
        found |= {piece.hex(), repr(piece)[2:-1], quote(piece)}
        found.add(json.dumps(piece.decode("latin-1"))[1:-1])
        found.add(piece.decode("latin-1"))
    return {text for text in found if len(set(text)) > 6}  # padding occurs in other files, too


def check(written: str, *pictures: bytes) -> None:
    assert written
    assert KEY not in written
    assert base64.b64encode(KEY.encode()).decode().rstrip("=") not in written
    for picture in pictures:
        leaked = [text for text in spellings(picture) if text in written]
        assert not leaked, leaked[:3]


def requests() -> dict[str, tuple[dict, bytes]]:
    """Return events that contain the picture, by what is wrong with them."""
    text = base64.b64encode(FACE).decode()
    huge = FACE + np.random.default_rng(1).bytes(4_500_000)
    heic = b"\0\0\0\x18ftypheic" + FACE[20:]
    damaged = FACE[: len(FACE) // 2]
    bodies = {
        "fine": ("image/jpeg", FACE, FACE),
        "fine, in JSON": ("application/json", json.dumps({"image": text, "source": "gate-3"}), FACE),
        "fine, a data URI": (
            "application/json",
            json.dumps({"image": f"data:image/jpeg;base64,{text}"}),
            FACE,
        ),
        "fine, a form": (f"multipart/form-data; boundary={BOUNDARY}", form({"file": FACE}), FACE),
        "fine, a grainy one": ("image/png", grainy(1), grainy(1)),
        "cut short": ("image/jpeg", damaged, damaged),
        "not a picture": ("image/jpeg", grainy(2)[3:], grainy(2)[3:]),
        "a HEIC picture": ("image/jpeg", heic, heic),
        "too large": ("image/jpeg", huge, huge),
        "no base64": ("application/json", json.dumps({"image": text[:-5] + "!*&"}), FACE),
        "not JSON": ("application/json", f'{{"image": "{text}"', FACE),
        "JSON that is no object": ("application/json", json.dumps([text]), FACE),
        "a picture where a number belongs": (
            "application/json",
            json.dumps({"image": text, "min_confidence": text}),
            FACE,
        ),
        "a picture for a source": ("application/json", json.dumps({"image": text, "source": text}), FACE),
        "fine, with a picture for a type": (f"image/{text[:100]}", FACE, FACE),
        "as text": ("image/jpeg", FACE.decode("utf-8", "replace"), FACE),
        "packed": ("image/jpeg", gzip.compress(FACE), gzip.compress(FACE)),
    }
    return {
        name: (sent("/predict", content_type=content_type, body=body), picture)
        for name, (content_type, body, picture) in bodies.items()
    }


def sent(path: str, **content: object) -> dict:
    event = api_event("POST", path, headers={"x-api-key": KEY}, **content)
    event["requestContext"]["identity"] |= {"apiKey": KEY, "apiKeyId": "id"}
    return event


@pytest.fixture
def written(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that gives the output since its last call, with the log level DEBUG."""
    log = io.StringIO()
    monkeypatch.setattr(api.logger.registered_handler, "stream", log)
    monkeypatch.setattr(api.logger._logger, "level", logging.DEBUG)  # noqa: SLF001

    def read() -> str:
        out, err = capfd.readouterr()
        result = out + err + log.getvalue()
        log.seek(0)
        log.truncate()
        return result

    return read


@pytest.mark.parametrize("name", requests())
def test_predict_logs_nothing_of_its_input(name: str, written: Callable[[], str]) -> None:
    event, picture = requests()[name]
    answer = predict.handler(event, None)
    assert (answer["statusCode"] == 200) == name.startswith("fine")
    assert answer["statusCode"] < 500
    check(written(), picture)


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("the network failed"),
        MemoryError(),
        UnicodeDecodeError("utf-8", FACE, 0, 1, "invalid start byte"),
        KeyError("mask"),
    ],
)
@pytest.mark.parametrize("where", ["decode", "predict_with_challenger"])
def test_a_crash_logs_where_and_why_but_not_the_input(
    where: str, fault: Exception, written: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(predict, where, crash)
    event, picture = requests()["fine, in JSON"]
    assert predict.handler(event, None)["statusCode"] == 500
    result = written()
    assert type(fault).__name__ in result
    check(result, picture)


def test_a_record_is_short_and_has_only_known_values(written: Callable[[], str]) -> None:
    predict.handler(requests()["fine, in JSON"][0], None)
    (line,) = (line for line in written().splitlines() if '"prediction_id"' in line)
    assert len(line) < 4000
    result = json.loads(line)
    metrics = {metric["Name"] for metric in result["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    known = {"time", "request_id", "route", "model_version", "prediction_id", "source", "label"}
    known |= {"probabilities", "faces", "image", "projection", "_aws"} | metrics
    assert set(result) == known
    assert set(result["image"]) == {
        "width",
        "height",
        *scoring.image_statistics(np.zeros((32, 32, 3), np.uint8)),
    }
    assert all(isinstance(result[name], int | float) for name in metrics)


@pytest.fixture(scope="module")
def batch():
    """The handler of Batch, with buckets."""
    with pytest.MonkeyPatch.context() as patch, batch_on_moto(patch) as loaded:
        yield loaded


def test_batch_logs_nothing_of_its_input(batch, written: Callable[[], str]) -> None:
    module, s3 = batch
    pictures = {"fine.jpg": FACE, "cut.jpg": FACE[:900], "none.jpg": grainy(2)[3:], "heic.jpg": grainy(3)}
    versions = {
        name: s3.put_object(Bucket="uploads", Key=name, Body=body)["ETag"].strip('"')
        for name, body in pictures.items()
    }
    numbers = itertools.count()
    records = [
        message(next(numbers), notification(name, version=None, etag=etag)) for name, etag in versions.items()
    ] + [
        message(next(numbers), base64.b64encode(FACE).decode()),
        message(next(numbers), notification("missing.jpg")),
    ]
    crash = s3.put_object(Bucket="uploads", Key="crash.jpg", Body=FACE)["ETag"].strip('"')
    with pytest.MonkeyPatch.context() as patch:
        module.handler({"Records": records}, context())
        patch.setattr(scoring, "image_statistics", None)  # a crash while scoring
        module.handler(
            {"Records": [message(0, notification("crash.jpg", version=None, etag=crash))]}, context()
        )
    result = written()
    assert '"prediction_id"' in result
    assert '"rejected"' in result
    assert "NoneType" in result
    check(result, *pictures.values())


def test_no_name_of_a_file_is_logged_if_s3_does_not_answer(
    batch, written: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _ = batch

    def fail(request: AWSPreparedRequest, **_: object) -> None:
        raise ReadTimeoutError(endpoint_url=request.url)

    monkeypatch.setattr(time, "sleep", lambda _: None)  # between botocore's attempts
    module.s3.meta.events.register_first("before-send.s3", fail)
    key = "ward-3/jane doe.jpg"
    items = {"BatchInput": {"reader": "prefix", "bucket": "uploads"}, "Items": [{"Key": key, "Etag": "e1"}]}
    try:
        module.handler({"Records": [message(0, notification(key))]}, context())
        with pytest.raises(module.UnfinishedError) as raised:
            module.handler(items, context())
    finally:
        module.s3.meta.events.unregister("before-send.s3", fail)
    for text in (written(), str(raised.value)):
        assert "Read timeout" in text
        assert "doe" not in text


def test_the_check_detects_a_leak() -> None:
    for leak in (FACE[500:560].hex(), repr(FACE), base64.b64encode(FACE[501:700]).decode(), KEY):
        with pytest.raises(AssertionError):
            check(f"a line {leak}", FACE)
