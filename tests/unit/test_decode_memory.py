"""No accepted picture costs more than 200 MiB."""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.pictures import chunk, encode
from tests.system import python
from tests.unit.test_decode_refusals import png_header

PEAK = """
import sys
from pathlib import Path
from functions.inference.decode import decode
from functions.shared.problem import InputError

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

decode(Path(sys.argv[1]).read_bytes())
data = Path(sys.argv[2]).read_bytes()
Path("/proc/self/clear_refs").write_text("5")  # forget the peak until now
before = status("VmRSS")
try:
    result = "{0.width}x{0.height}".format(decode(data))
except InputError as rejected:
    result = rejected.problem.identifier
print((status("VmHWM") - before) // 1024, result)
"""


def peak(file: bytes, folder: Path) -> tuple[int, str]:
    """Return the additional MiB that a fresh process needs to decode a file, and the outcome."""
    (folder / "warm-up.png").write_bytes(encode(Image.new("RGB", (64, 64)), "PNG"))
    (folder / "picture").write_bytes(file)
    done = python("-c", PEAK, folder / "warm-up.png", folder / "picture")
    assert done.returncode == 0, done.stderr
    mebibytes, result = done.stdout.split()
    return int(mebibytes), result


def blank(mode: str, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.zeros(size[::-1], np.uint16)) if mode == "I;16" else Image.new(mode, size)


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16", "P"])
def test_a_png_of_40_megapixels(mode: str, tmp_path: Path) -> None:
    used, result = peak(encode(blank(mode, (8000, 5000)), "PNG", compress_level=1), tmp_path)
    assert result == "8000x5000"
    assert used < 200


@pytest.mark.parametrize(
    ("mode", "size", "options"),
    [
        ("RGB", (8000, 5000), {}),
        ("CMYK", (8000, 5000), {}),
        ("RGB", (65_500, 610), {}),
        ("RGB", (8000, 5000), {"progressive": True, "subsampling": 2}),
        ("RGB", (6700, 4300), {"progressive": True, "subsampling": 0}),
    ],
)
def test_a_jpeg_as_large_as_is_accepted(
    mode: str, size: tuple[int, int], options: dict[str, object], tmp_path: Path
) -> None:
    used, result = peak(encode(blank(mode, size), **options), tmp_path)
    assert result == f"{size[0]}x{size[1]}"
    assert used < 200


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_of_a_phones_12_megapixels(lossless: bool, tmp_path: Path) -> None:  # noqa: FBT001
    used, result = peak(encode(blank("RGBA", (4032, 3024)), "WEBP", lossless=lossless, method=0), tmp_path)
    assert result == "4032x3024"
    assert used < 200


def test_a_png_of_50_megapixels_in_40_kilobytes_costs_nothing(tmp_path: Path) -> None:
    used, result = peak(png_header(10_000, 5000), tmp_path)
    assert result == "too-many-pixels"
    assert used < 5


def test_a_webp_that_claims_a_huge_canvas_costs_nothing(tmp_path: Path) -> None:
    file = encode(blank("RGBA", (64, 64)), "WEBP", exif=b"II*\0\x08\0\0\0\0\0")
    used, result = peak(file[:24] + b"\xfe\x3f\x00" * 2 + file[30:], tmp_path)
    assert result == "too-many-pixels"
    assert used < 5


def test_inflating_text_chunks_stay_within_the_limit(tmp_path: Path) -> None:
    # A kilobyte each, a megabyte of text each, 4 bytes a character once a single one of them needs 4.
    text = zlib.compress(b"a" * 1_000_000 + "\N{GRINNING FACE}".encode())
    chunks = [chunk(b"iTXt", struct.pack(">I", i).hex().encode() + b"\0\1\0\0\0" + text) for i in range(64)]
    used, result = peak(png_header(8000, 5000, *chunks), tmp_path)
    assert result == "unreadable-image"
    assert used < 200


def test_a_file_of_metadata_stays_within_the_limit(tmp_path: Path) -> None:
    exif = b"II*\0\x08\0\0\0" + bytes(4_300_000)
    used, result = peak(encode(blank("RGBA", (8000, 5000)), "PNG", exif=exif, compress_level=1), tmp_path)
    assert result == "8000x5000"
    assert used < 200
