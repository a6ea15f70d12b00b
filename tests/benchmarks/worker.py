"""Run one contender in a process of its own: `python -m tests.benchmarks.worker NAME FOLDER`.

For every line on standard input, print the times, in milliseconds, of the calls that fit into a round. At the end of
the input, print the process's peak memory in MB.
"""

# ruff: noqa: PLC0415 -- a contender imports only what it needs

import contextlib
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROUND = 0.15  # seconds

Call = Callable[[], object]


def handler(folder: Path) -> Call:
    from functions.inference.predict import handler

    event = json.loads((folder / "event.json").read_text())
    return lambda: handler(event, None)


def scene(folder: Path, name: str, count: int) -> Call:
    """The handler on a picture with `count` faces to judge."""
    os.environ["MODEL_URI"] = str(folder / "release")
    from functions.inference.predict import handler

    event = json.loads((folder / f"scene-{name}-{count}.json").read_text())
    with contextlib.redirect_stdout(io.StringIO()):
        answer = json.loads(handler(event, None)["body"])
    if answer["summary"]["faces"] != count:
        raise ValueError(f"{answer['summary']['faces']} faces found, {count} expected")
    return lambda: handler(event, None)


def detect(folder: Path) -> Call:
    from functions.inference.decode import decode
    from functions.inference.detect import Detector
    from functions.inference.fetch import open_release

    release = open_release("")
    detector = Detector(release.detector, release.min_score, threads=1)
    pixels = decode((folder / "picture.jpg").read_bytes()).pixels
    return lambda: detector.detect(pixels)


def decode(folder: Path) -> Call:
    from functions.inference.decode import decode

    data = (folder / "picture.jpg").read_bytes()
    return lambda: decode(data)


def classify(folder: Path) -> Call:
    from functions.inference.classify import Classifier
    from functions.inference.decode import decode
    from functions.inference.fetch import open_release

    classifier = Classifier(open_release("").classifier, threads=1)
    pixels = decode((folder / "picture.jpg").read_bytes()).pixels
    return lambda: classifier.classify(pixels)


def tflite(folder: Path, name: str) -> Call:
    """The classifier in the runtime that is installed: LiteRT or tflite-runtime."""
    from functions.inference.classify import Classifier
    from functions.inference.release import Network

    classifier = Classifier(Network((folder / f"{name}.tflite").read_bytes(), 224), threads=1)
    square = _square(folder)
    return lambda: classifier.classify(square)


def onnx(folder: Path) -> Call:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        folder / "float32.onnx", options, providers=["CPUExecutionProvider"]
    )
    inputs = {"pixels": _square(folder)[np.newaxis].astype(np.float32)}
    return lambda: session.run(None, inputs)


def keras_call(folder: Path) -> Call:
    model, batch = _keras(folder)
    return lambda: model(batch)


def keras_predict(folder: Path) -> Call:
    model, batch = _keras(folder)
    return lambda: model.predict(batch, verbose=0)


def keras_function(folder: Path) -> Call:
    import tensorflow as tf

    model, batch = _keras(folder)
    compiled = tf.function(model)
    tensor = tf.constant(batch)
    return lambda: compiled(tensor)


def keras_picture(folder: Path) -> Call:
    import numpy as np

    from functions.inference.classify import resize
    from functions.inference.decode import decode

    model, _ = _keras(folder)
    data = (folder / "picture.jpg").read_bytes()
    return lambda: model(resize(decode(data).pixels, 224)[np.newaxis].astype(np.float32))


def _keras(folder: Path):
    import keras
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return keras.saving.load_model(folder / "served.keras"), _square(folder)[np.newaxis].astype(np.float32)


def _square(folder: Path):
    from functions.inference.classify import resize
    from functions.inference.decode import decode

    return resize(decode((folder / "picture.jpg").read_bytes()).pixels, 224)


CONTENDERS: dict[str, Callable[[Path], Call]] = {
    "handler": handler,
    **{
        f"scene-{name}-{count}": partial(scene, name=name, count=count)
        for name in ("640x480", "1920x1080")
        for count in (1, 5, 30)
    },
    "decode": decode,
    "detect": detect,
    "classify": classify,
    "int8": lambda folder: tflite(folder, "int8"),
    "float16": lambda folder: tflite(folder, "float16"),
    "float32": lambda folder: tflite(folder, "float32"),
    "onnx": onnx,
    "keras-call": keras_call,
    "keras-predict": keras_predict,
    "keras-function": keras_function,
    "keras-picture": keras_picture,
}


def peak() -> float:
    """Return this process's peak memory in MB; getrusage would include its parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def serve(call: Call) -> None:
    answers = sys.stdout
    # The handler writes records.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        call()
        print("ready", file=answers, flush=True)
        for _ in sys.stdin:
            times = []
            end = time.perf_counter() + ROUND
            while not times or time.perf_counter() < end:
                started = time.perf_counter()
                call()
                times.append((time.perf_counter() - started) * 1e3)
            print(json.dumps(times), file=answers, flush=True)
    print(peak())  # noqa: T201


if __name__ == "__main__":
    serve(CONTENDERS[sys.argv[1]](Path(sys.argv[2])))
