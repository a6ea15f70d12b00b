"""Measure everything in one run and write RESULTS.md beside this file: `python -m tests.benchmarks`.

Every contender has a process of its own and one thread. They alternate in short rounds, so that other load on the
machine affects all equally.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles

import boto3

from functions.shared.release_files import IMAGE_RELEASE
from infra.local.aws import moto_server
from tests.benchmarks import batch, drift_records

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TFLITE_PYTHON = ROOT / ".venv-tflite" / "bin" / "python"
ROUNDS = 30
STARTS = 7

NOTE = (
    "Written by `make bench`: one run, one thread each, every contender in a process of its own, alternating every "
    "0.15 s. MB is the process's peak memory."
)

FRESH = """
import json, sys
from functions.inference.predict import handler
with open(sys.argv[1]) as file:
    answer = handler(json.load(file), None)
print("status", answer["statusCode"], flush=True)
from tests.benchmarks.worker import peak
print(peak())
"""
FRESH_TENSORFLOW = (
    """
import sys, types
import tensorflow as tf
instead = types.SimpleNamespace(Interpreter=tf.lite.Interpreter)
sys.modules["ai_edge_litert"] = sys.modules["ai_edge_litert.interpreter"] = instead
"""
    + FRESH
)


@dataclass
class Row:
    """One line of the table; `worker` is a name of `worker.CONTENDERS`, or a program for a fresh process."""

    title: str
    worker: str
    python: Path = Path(sys.executable)
    from_s3: bool = False
    times: list[float] = field(default_factory=list)  # milliseconds
    peak: float = 0.0  # MB

    @property
    def p50(self) -> float:
        return median(self.times)

    @property
    def p95(self) -> float:
        return quantiles(self.times, n=20, method="inclusive")[-1]


TABLES = {  # the others are compared with the first row of each
    "A 640x480 JPEG": [
        Row("handler, end to end", "handler"),
        Row("decode alone", "decode"),
        Row("letterbox and detect alone", "detect"),
        Row("resize and classify alone", "classify"),
        Row("Keras `model(x)`, same decode and resize", "keras-picture"),
    ],
    "Handler, end to end, by size and faces judged": [
        Row("640x480, 1 face", "scene-640x480-1"),
        Row("640x480, 5 faces", "scene-640x480-5"),
        Row("640x480, 30 faces", "scene-640x480-30"),
        Row("1920x1080, 1 face", "scene-1920x1080-1"),
        Row("1920x1080, 5 faces", "scene-1920x1080-5"),
        Row("1920x1080, 30 faces", "scene-1920x1080-30"),
    ],
    "The classifier alone, on 224x224": [
        Row("LiteRT int8", "int8"),
        Row("LiteRT float16", "float16"),
        Row("LiteRT float32", "float32"),
        Row("tflite-runtime 2.14 int8", "int8", TFLITE_PYTHON),
        Row("tflite-runtime 2.14 float16", "float16", TFLITE_PYTHON),
        Row("tflite-runtime 2.14 float32", "float32", TFLITE_PYTHON),
        Row("ONNX Runtime float32", "onnx"),
        Row("Keras `tf.function(model)(x)`", "keras-function"),
        Row("Keras `model.predict(x)`", "keras-predict"),
        Row("Keras `model(x)`", "keras-call"),
    ],
    "A fresh process to its first answer": [
        Row("MaskWatch", FRESH),
        Row("MaskWatch, its release fetched from S3 (moto on this machine)", FRESH, from_s3=True),
        Row("the same with TensorFlow's `tf.lite`", FRESH_TENSORFLOW),
    ],
}


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a contender: one thread, and cached bytecode, as in the image."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    bytecode = {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return kept | dict.fromkeys(names, "1") | bytecode


def alternate(rows: list[Row], folder: Path) -> None:
    """Measure rounds of calls in long-running processes."""
    measure_rounds(rows, [start(row, folder) for row in rows])


def start(row: Row, folder: Path, tree: Path = ROOT) -> subprocess.Popen[str]:
    """Start a row's long-running process with the code in `tree` and the inputs in `folder`."""
    process = subprocess.Popen(
        [row.python, "-m", "tests.benchmarks.worker", row.worker, folder],
        cwd=tree,
        env=environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    _expect(process, "ready")
    return process


def measure_rounds(rows: list[Row], workers: list[subprocess.Popen[str]]) -> None:
    """Let the rows' processes call in turn, a round each, and end them."""
    for number in range(ROUNDS + 1):
        for row, worker in zip(rows, workers, strict=True):
            worker.stdin.write("round\n")
            worker.stdin.flush()
            times = json.loads(worker.stdout.readline())
            row.times += times if number else []  # the first round warms up
    for row, worker in zip(rows, workers, strict=True):
        row.peak = float(worker.communicate()[0])


@contextmanager
def release_in_s3() -> Iterator[dict[str, str]]:
    """Yield the environment in which Predict fetches the shipped release from S3."""
    with moto_server() as endpoint:
        credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        s3 = boto3.client(
            "s3", "us-east-1", endpoint_url=endpoint, **{k.lower(): v for k, v in credentials.items()}
        )
        s3.create_bucket(Bucket="models")
        for file in IMAGE_RELEASE.iterdir():
            s3.upload_file(str(file), "models", f"models/1/{file.name}")
        yield credentials | {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "MODEL_URI": "s3://models/models/1/",
        }


def measure_starts(rows: list[Row], folder: Path, s3: dict[str, str]) -> None:
    """Measure processes that answer once and end."""
    for number in range(STARTS + 1):
        for row in rows:
            command = [row.python, "-c", row.worker, folder / "event.json"]
            started = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(folder) | (s3 if row.from_s3 else {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            _expect(process, "status 200")
            took = (time.perf_counter() - started) * 1e3
            row.peak = float(process.communicate()[0])
            row.times += [took] if number else []  # the first start writes bytecode


def _expect(process: subprocess.Popen[str], expected: str) -> None:
    for line in process.stdout:
        if line.strip() == expected:
            return
    raise RuntimeError(f"{process.args} ended before it printed {expected!r}")


def processor() -> str:
    lines = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if Path("/proc/cpuinfo").exists()
        else []
    )
    fields = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    name = fields.get("model name", platform.processor()).strip()
    return name + (" with AVX512-VNNI" if "avx512_vnni" in fields.get("flags", "") else "")


def render(tables: dict[str, list[Row]], machine: str, versions: str) -> str:
    lines = [
        "# Benchmark",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {machine}. {versions}.",
        "",
        NOTE,
        "",
        "| | p50, ms | p95, ms | peak, MB | of the first |",
        "|---|--:|--:|--:|--:|",
    ]
    for title, rows in tables.items():
        lines.append(f"| **{title}** | | | | |")
        for row in rows:
            times = row.p50 / rows[0].p50
            compared = "" if row is rows[0] else f"{times:.0%}" if times < 1 else f"{times:.1f} times"
            lines.append(f"| {row.title} | {row.p50:.1f} | {row.p95:.1f} | {row.peak:.0f} | {compared} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    missing = [] if TFLITE_PYTHON.exists() else [TFLITE_PYTHON]
    tables = {title: [r for r in rows if r.python not in missing] for title, rows in TABLES.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "tests.benchmarks.models", folder], cwd=ROOT, check=True)
        *long_running, fresh = tables.values()
        alternate([row for rows in long_running for row in rows], folder)
        with release_in_s3() as s3:
            measure_starts(fresh, folder, s3)
    packages = ("ai-edge-litert", "numpy", "pillow", "tensorflow-cpu", "keras", "onnxruntime")
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in packages)])
    machine = f"{processor()}, {os.cpu_count()} cores"
    command = [sys.executable, "-m", "tests.benchmarks.record_cost"]
    recording = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    parts = (
        render(tables, machine, versions),
        batch.render(batch.measure()),
        f"What monitoring costs a prediction:\n\n{recording.stdout}",
        drift_records.render(drift_records.measure()),
    )
    results = "\n".join(parts)
    (HERE / "RESULTS.md").write_text(results)
    print(results)  # noqa: T201


if __name__ == "__main__":
    main()
