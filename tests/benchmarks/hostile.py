"""Measure the most that a file can cost: `python -m tests.benchmarks.hostile` prints a table.

Files of up to 25 MB are made by hand, and by Hypothesis, which searches sizes, modes, encoders and contents for the
most time and memory. Each is decoded in a process of its own. The table has processor seconds and additional memory.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import strategies as st
from PIL import Image, ImageFile

from functions.shared.contract import MAX_UPLOAD_BYTES
from tests.forged import (
    FULL,
    GREY,
    QUARTER,
    blocks,
    frame,
    grey_jpeg,
    jpeg_of_scans,
    scan,
    segment,
    tables,
    webp_of_groups,
    zeros,
)
from tests.pictures import chunk, draw_face, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

Cost = tuple[float, float, str]  # processor seconds, additional MiB, and the outcome
EXAMPLES: Final = 40  # per format
SMALLEST: Final = 5.0  # log10 of the number of pixels
LARGEST: Final = {"JPEG": 7.6, "PNG": 7.6, "WEBP": 7.1}
# Pillow's encoder allocates this much for every picture; it must hold a row of all scans.
ImageFile.MAXBLOCK = 1 << 26

PROGRAM: Final = """
import sys, time
from pathlib import Path
from functions.inference.decode import decode
from functions.shared.problem import InputError

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

for warm_up in Path(sys.argv[1]).iterdir():
    decode(warm_up.read_bytes())
data = Path(sys.argv[2]).read_bytes()
Path("/proc/self/clear_refs").write_text("5")  # forget the peak until now
before, started = status("VmRSS"), time.process_time()
try:
    decode(data)
    outcome = "scored"
except InputError as error:
    outcome = error.problem.identifier
print(time.process_time() - started, (status("VmHWM") - before) / 1024, outcome)
"""


def by_hand() -> Iterator[tuple[str, str, bytes]]:
    """Yield format, name and content of files that are known to be costly."""
    face, png = encode(draw_face()), encode(draw_face(), "PNG")
    yield "JPEG", "40 MP of one colour, 4:4:4", grey_jpeg(8000, 5000, sampling=FULL)
    yield "JPEG", "100 scans, 28 MP", jpeg_of_scans(6700, 4300, 100)
    each, size = zeros(blocks(5000, 4000, GREY)), (5000, 4000)
    more = b"".join(scan([1 + number % 3], 1, 63, each) for number in range(99))
    first = scan([1, 2, 3], 0, 0, zeros(blocks(*size, FULL)))
    yield (
        "JPEG",
        "100 scans of every block, 20 MP",
        b"\xff\xd8" + frame(0xC2, *size) + tables(0) + first + more,
    )
    dense = b"".join(scan([1 + n % 3], 1, 63, zeros(blocks(2048, 1536, GREY) * 126)) for n in range(31))
    first = scan([1, 2, 3], 0, 0, zeros(blocks(2048, 1536, FULL)))
    yield (
        "JPEG",
        "24 MB of coefficients, 31 scans",
        b"\xff\xd8" + frame(0xC2, 2048, 1536) + tables(1) + first + dense,
    )
    random = np.random.default_rng(0).integers(0, 255, 24_000_000, np.uint8).tobytes()  # no FF
    for name, width, height in (("40 MP", 8000, 5000), ("2 MP", 1600, 1200)):
        coded = frame(0xC9, width, height, QUARTER) + segment(0xDB, b"\0" + b"\1" * 64)
        yield (
            "JPEG",
            f"24 MB of arithmetic coding, {name}",
            b"\xff\xd8" + coded + scan([1, 2, 3], 0, 63, random),
        )
    first, more = scan([1, 2, 3], 0, 0, bytes(8)), scan([1], 1, 63, bytes(8))
    coded = frame(0xCA, 8000, 5000, QUARTER) + segment(0xDB, b"\0" + b"\1" * 64)
    yield (
        "JPEG",
        "100 scans of arithmetic coding without data, 40 MP",
        b"\xff\xd8" + coded + first + more * 99,
    )
    yield "JPEG", "24 MB of fill bytes", face[:2] + b"\xff" * 24_000_000 + face[2:]
    yield "JPEG", "20,000 scans behind fill bytes", jpeg_of_scans(640, 480, 20_000, fill=b"\xff\xff")
    yield (
        "JPEG",
        "24 MB of EXIF and ICC",
        face[:2] + segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 370 + face[2:],
    )
    yield "PNG", "150,000 chunks of iCCP", png[:33] + chunk(b"iCCP", bytes(100)) * 150_000 + png[33:]
    profile = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"z " * 32_768, 9))
    yield "PNG", "99,000 chunks of EXIF, deflated", png[:33] + profile * 99_000 + png[33:]
    yield "PNG", "99,000 chunks of pixels", png[:33] + chunk(b"IDAT", b"") * 99_000 + png[33:]
    for mode in ("RGB", "RGBA", "I;16"):
        image = (
            Image.fromarray(np.zeros((5000, 8000), np.uint16))
            if mode == "I;16"
            else Image.new(mode, (8000, 5000))
        )
        yield "PNG", f"40 MP of one colour, {mode}", encode(image, "PNG", compress_level=1)
    row = b"\4" + bytes(range(256)) * 156  # Paeth's filter, the slowest, over pixels of 8 bytes
    header = struct.pack(">IIBBBBB", 4992, 5000, 16, 6, 0, 0, 0)
    deep = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 5000, 1)) + chunk(b"IEND", b"")
    yield "PNG", "25 MP of 16-bit RGBA", png[:8] + deep
    dark = chunk(b"IDAT", zlib.compress(row * 4999 + bytes(len(row)), 1))  # so that its rows are counted
    yield "PNG", "the same with a black row at its end", png[:8] + chunk(b"IHDR", header) + dark
    yield "WebP", "65,536 groups of Huffman tables, 1 MP", webp_of_groups(65_536)
    frames = [draw_face(3600, 3400), draw_face(3600, 3400).rotate(90)]
    animated = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:] * 3, method=0)
    yield "WebP", "animation, 12 MP", animated


@st.composite
def drawn(draw: st.DrawFn, kind: str) -> bytes:
    """Draw a file of any accepted size, smooth or noisy, in any variant that Pillow can write."""
    pixels = 10 ** draw(st.floats(SMALLEST, LARGEST[kind]))
    width = int(np.clip(np.sqrt(pixels) * 4 ** draw(st.floats(-1, 1)), 32, 16_000))
    height = int(np.clip(pixels / width, 32, 16_000))
    grain = draw(st.sampled_from([1, 2, 8, 64]))
    coarse = np.random.default_rng(0).integers(0, 256, (-(-height // grain), -(-width // grain), 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)
    options: dict[str, Any]
    if kind == "JPEG":
        image = image.convert(draw(st.sampled_from(["RGB", "L", "CMYK"])))
        options = {"quality": draw(st.sampled_from([5, 50, 95])), "progressive": draw(st.booleans())}
        options |= {"subsampling": draw(st.sampled_from([0, 2]))} if image.mode == "RGB" else {}
    elif kind == "PNG":
        image = image.convert(draw(st.sampled_from(["RGB", "RGBA", "P", "L", "LA", "1"])))
        options = {"compress_level": draw(st.sampled_from([1, 6]))}
    else:
        options = {"lossless": draw(st.booleans()), "quality": draw(st.sampled_from([10, 90])), "method": 0}
    return encode(image, kind, **options)


def measure(file: bytes, folder: Path) -> Cost:
    """Return processor seconds, additional MiB, and the outcome."""
    (folder / "file").write_bytes(file[:MAX_UPLOAD_BYTES])
    command = [sys.executable, "-c", PROGRAM, folder / "warm-up", folder / "file"]
    seconds, mebibytes, outcome = subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()
    return float(seconds), float(mebibytes), outcome


def search(kind: str, folder: Path) -> dict[str, tuple[Cost, bytes]]:
    """Return the files that Hypothesis finds to take the longest and the most memory, with their costs."""
    worst: dict[str, tuple[Cost, bytes]] = {}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn(kind))
    def examine(file: bytes) -> None:
        cost = measure(file, folder)
        for number, what in enumerate(("longest", "largest")):
            target(float(cost[number]), label=what)
            if what not in worst or cost[number] > worst[what][0][number]:
                worst[what] = cost, file

    examine()
    return worst


def render() -> str:
    """The table, in Markdown."""
    lines = ["| format | file | bytes | seconds | MiB | outcome |", "|---|---|--:|--:|--:|---|"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "warm-up").mkdir()
        for kind in ("JPEG", "PNG", "WEBP"):
            (folder / "warm-up" / kind).write_bytes(encode(draw_face(64, 64), kind))

        def row(kind: str, name: str, file: bytes, found: Cost) -> str:
            size = min(len(file), MAX_UPLOAD_BYTES)
            return f"| {kind} | {name} | {size:,} | {found[0]:.2f} | {found[1]:.0f} | {found[2]} |"

        lines += [row(kind, name, file, measure(file, folder)) for kind, name, file in by_hand()]
        for kind in ("JPEG", "PNG", "WEBP"):
            for what, (found, file) in search(kind, folder).items():
                lines.append(row(kind, f"the {what} of {EXAMPLES}", file, found))
    return "\n".join(lines)


if __name__ == "__main__":
    print(render())  # noqa: T201
