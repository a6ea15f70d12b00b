"""Parses and decodes JPEG (ITU-T T.81).

libjpeg continues after damage with a warning, and Pillow hides the warnings. simplejpeg stops at the first one. It
gets only the picture's tables and scans, so that every warning is about damage to the pixels.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import simplejpeg
from PIL import Image

from functions.inference.formats import DamagedError
from functions.inference.formats.exif import orientation
from functions.shared.problem import UNREADABLE_IMAGE, UNSUPPORTED_TYPE, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SOF: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1, 0xC9})
_PROGRESSIVE: Final = frozenset({0xC2, 0xCA})
_ARITHMETIC: Final = frozenset({0xC9, 0xCA})
_RST: Final = range(0xD0, 0xD8)
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_DHT, _JPEG_LS = 0xC4, 0xF7
_TABLES: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDD})  # DHT, DAC, DQT, DRI
_APP0, _APP1, _APP14 = 0xE0, 0xE1, 0xEE
_METADATA: Final = frozenset({*range(0xE0, 0xF0), 0xFE})  # APPn, COM
# The sampling factors of the first component that TurboJPEG supports.
_SUPPORTED_SAMPLING: Final = frozenset({(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4)})
_JFIF: Final = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"  # says that three components are YCbCr
_LOST_BLOCK: Final = bytes(64)  # a block that a disk or a network has lost
# After a scan with arithmetic coding, whose final zeros may be omitted.
_PADDING: Final = bytes(8) + b"\xa5" * 64
_WHOLE_SPECTRUM: Final = b"\0\x3f\0"  # the only valid values in a sequential scan
_FILL: Final = re.compile(rb"\xff*")
_CODE: Final = re.compile(rb"(?<=\xff)[^\xff\0]")
_BLOCK: Final = 1 << 20  # bytes searched at a time
_MAX_SCANS: Final = 100  # encoders write about 10
_MAX_MARKERS: Final = 10_000  # megabytes of metadata are split into segments of 64 kB


@dataclass(frozen=True)
class Jpeg:
    """A JPEG picture, its metadata removed.

    Attributes:
        stream: The picture itself, from SOI to EOI.
        padded: The same with `_PADDING` after each scan, if the coding is arithmetic; otherwise None.
        width: In pixels, as stored.
        height: In pixels, as stored.
        sampling: Horizontal and vertical sampling factors of each component.
        buffered: Whether all coefficients must be kept until the last scan.
        orientation: The orientation by EXIF or XMP.
    """

    stream: bytes
    padded: bytes | None
    width: int
    height: int
    sampling: tuple[tuple[int, int], ...]
    buffered: bool
    orientation: int

    @property
    def samples_per_pixel(self) -> float:
        """The number of samples, or coefficients, per pixel."""
        horizontal = max(across for across, _ in self.sampling)
        vertical = max(down for _, down in self.sampling)
        blocks = sum(across * down for across, down in self.sampling)
        return blocks / (horizontal * vertical)

    def pixels(self, scale: int) -> NDArray[np.uint8]:
        """Decode to RGB (H, W, 3), reduced by a scale of 1, 2, 4 or 8.

        Raises:
            DamagedError: The pixels are damaged.
        """
        try:
            decoded = self._decode(self.stream, scale)
        except ValueError as error:
            # TurboJPEG reports any header that it cannot read as one of unsupported subsampling.
            if "subsampling" in str(error) and not self._has_supported_sampling():
                raise _unsupported("a JPEG picture with unusual chroma subsampling") from error
            padded = self.stream[:-2]
            trimmed = padded.rstrip(b"\0")
            if trimmed == padded or "extraneous" not in str(error):
                raise DamagedError(str(error)) from error
        else:
            # An arithmetic decoder reads zeros in place of missing data, without a warning. If padding after the data
            # changes the picture, some of the data is missing.
            if self.padded and not np.array_equal(decoded, self._decode(self.padded, scale, strict=False)):
                raise DamagedError("a scan is truncated")
            return decoded
        trimmed += b"\0" if trimmed.endswith(b"\xff") else b""  # a byte FF of the data is stuffed with 00
        try:  # cameras pad files with zeros, without which the picture must still be complete
            return self._decode(trimmed + b"\xff\xd9", scale)
        except ValueError as error:
            raise DamagedError(str(error)) from error

    def _has_supported_sampling(self) -> bool:
        """Whether TurboJPEG supports the sampling factors."""
        first, *others = self.sampling
        return not others or (
            first in _SUPPORTED_SAMPLING and set(others[:2]) == {(1, 1)} and others[2:] in ([], [first])
        )

    def _decode(self, stream: bytes, scale: int, *, strict: bool = True) -> NDArray[np.uint8]:
        height, width = (math.ceil(side / scale) if scale > 1 else 0 for side in (self.height, self.width))
        kind = "CMYK" if len(self.sampling) == 4 else "RGB"
        decoded: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            stream, kind, min_height=height, min_width=width, strict=strict
        )
        if kind == "RGB":
            return decoded
        size = decoded.shape[1], decoded.shape[0]
        # CMYK is stored inverted, as Adobe's programs do, whether or not the file has Adobe's marker.
        image = Image.frombytes("CMYK", size, decoded.tobytes(), "raw", "CMYK;I")
        return np.asarray(image.convert("RGB"))


@dataclass
class _State:
    """The state of the parser."""

    frame: bytes = b""
    process: int = 0
    exif: bytes | None = None
    xmp: bytes | None = None
    scans: int = 0
    first_scan: int = 0  # components
    missing_bits: dict[tuple[int, int], int] = field(default_factory=dict)  # by component and coefficient
    # The run and size of the code that is all zeros, by AC table.
    zero_codes: dict[int, int] = field(default_factory=lambda: {0: 0x01, 1: 0x00})


def parse(data: bytes) -> Jpeg:
    """Parse the markers of a file that begins with a JPEG picture; data after its end is ignored.

    Raises:
        DamagedError: The markers are not valid.
        InputError: It is an unsupported kind of JPEG.
    """
    state, kept, position = _State(), [b"\xff\xd8"], 2
    ends: list[int] = []  # of the scans, as indexes of `kept`
    marker: int | None = _SOI
    for _ in range(_MAX_MARKERS):
        marker, position = _next_marker(data, position, after=marker)
        if marker in (_EOI, None):
            break
        if marker == _TEM or marker in _RST or (marker == _SOI and len(kept) == 1):
            continue
        end = position + int.from_bytes(data[position : position + 2], "big")
        body = data[position + 2 : end]
        if not position + 2 <= end <= len(data) or marker == _SOI:
            raise DamagedError(f"marker {marker:#x} at {position}")
        position = end
        if marker == _SOS:
            position = _scan_end(data, end)
            kept += _scan(body, data[end:position], state)
            ends.append(len(kept))
            if state.process in _SEQUENTIAL and not _lacks_dc(state):  # every component has had its only scan
                break
        else:
            kept.append(_segment(marker, body, state))
    else:
        raise InputError(
            UNREADABLE_IMAGE, f"The JPEG picture has more than {_MAX_MARKERS:,} markers. Save it again."
        )
    if not state.scans or any(state.missing_bits.values()) or _lacks_dc(state):
        raise DamagedError("a scan is missing")
    height, width = int.from_bytes(state.frame[1:3], "big"), int.from_bytes(state.frame[3:5], "big")
    sampling = tuple((factors >> 4, factors & 15) for factors in state.frame[7::3])
    kept.append(b"\xff\xd9")
    return Jpeg(
        b"".join(kept),
        _pad_scans(kept, ends) if state.process in _ARITHMETIC else None,
        width,
        height,
        sampling,
        buffered=state.process in _PROGRESSIVE or state.first_scan != len(sampling),
        orientation=orientation(state.exif, state.xmp),
    )


def _pad_scans(parts: list[bytes], ends: list[int]) -> bytes:
    """Join the parts of a stream with padding after each scan."""
    starts = [0, *ends]
    stretches = (b"".join(parts[start:end]) for start, end in pairwise([*starts, len(parts)]))
    return _PADDING.join(stretches)


def _next_marker(data: bytes, position: int, after: int | None) -> tuple[int | None, int]:
    """Return the marker after any fill bytes (B.1.1.2), and its end; None at the end of the file.

    Some programs write wrong lengths of metadata. After metadata, bytes are skipped up to the next marker, as libjpeg
    does; after tables and scans, they mean damage.
    """
    if after in _METADATA and (marker := _CODE.search(data, position + 1)):
        return data[marker.start()], marker.end()
    filled = _FILL.match(data, position)
    code = filled.end() if filled else position
    if code >= len(data):
        return None, code
    if code == position or data[code] == 0:
        raise DamagedError(f"no marker at {position}")
    return data[code], code + 1


def _scan_end(data: bytes, start: int) -> int:
    """Return where the next marker begins that does not belong to a scan (FF00, RST), or where the file ends."""
    for begin in range(start, len(data) - 1, _BLOCK):
        block = np.frombuffer(data, np.uint8, min(_BLOCK + 1, len(data) - begin), begin)
        code = block[1:]
        ends = (
            (block[:-1] == 0xFF) & (code != 0) & (code != 0xFF) & ((code < _RST.start) | (code >= _RST.stop))
        )
        first = int(ends.argmax())
        if ends[first]:
            return begin + first
    return len(data)


def _scan(body: bytes, coded: bytes, state: _State) -> tuple[bytes, bytes]:
    """Register a scan; return its corrected header and its entropy-coded data."""
    if not state.frame or not body or len(body) != 2 * body[0] + 4:
        raise DamagedError("scan header")
    state.scans += 1
    if state.scans > _MAX_SCANS:
        raise InputError(
            UNREADABLE_IMAGE, f"The JPEG picture has more than {_MAX_SCANS} scans. Save it again."
        )
    if _zeros_are_invalid(body, state) and _LOST_BLOCK in coded.rstrip(b"\0"):
        raise DamagedError("zeros in place of data")
    state.first_scan = state.first_scan or body[0]
    if state.process in _SEQUENTIAL:  # some cameras write other values, though only these are valid
        body = body[:-3] + _WHOLE_SPECTRUM
    first, last, precision = body[-3:]
    for component in body[1:-3:2]:
        for coefficient in range(first, min(last, 63) + 1):
            state.missing_bits[component, coefficient] = precision & 15
    return _make_segment(_SOS, body), coded


def _zeros_are_invalid(header: bytes, state: _State) -> bool:
    """Return whether many zeros are invalid, because zeros do not mean the end of a block."""
    sizes = [state.zero_codes.get(tables & 15, 0) & 15 for tables in header[2:-3:2]]
    return state.process in _SEQUENTIAL - _ARITHMETIC and any(sizes)


def _zero_codes(body: bytes) -> dict[int, int]:
    """Return, for each AC table of a DHT segment, the run and size of its first code, which is all zeros."""
    codes, position = {}, 0
    while position + 17 < len(body):
        if body[position] >> 4:
            codes[body[position] & 15] = body[position + 17]
        position += 17 + sum(body[position + 1 : position + 17])
    return codes


def _lacks_dc(state: _State) -> bool:
    """Return whether a component lacks its DC coefficients."""
    return any((component, 0) not in state.missing_bits for component in state.frame[6::3])


def _segment(marker: int, body: bytes, state: _State) -> bytes:
    """Register a segment; return it if the decoder needs it, otherwise nothing."""
    if marker in _SOF:
        _check_frame(marker, body, state)
        state.frame, state.process = body, marker
        return _make_segment(marker, body)
    if marker == _JPEG_LS:
        raise _unsupported("a JPEG-LS picture")
    if marker in _TABLES:
        state.zero_codes |= _zero_codes(body) if marker == _DHT else {}
        return _make_segment(marker, body)
    if marker == _APP0 and body.startswith(b"JFIF\0"):
        return _JFIF
    if marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        return _make_segment(marker, body)
    if marker == _APP1 and body.startswith(b"Exif\0\0"):
        state.exif = state.exif or body
    elif marker == _APP1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        state.xmp = state.xmp or body
    return b""


def _check_frame(marker: int, body: bytes, state: _State) -> None:
    if state.frame or len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise DamagedError("frame header")
    if marker not in _SEQUENTIAL | _PROGRESSIVE:
        kind = "lossless" if marker in {0xC3, 0xC7, 0xCB, 0xCF} else "hierarchical"
        raise _unsupported(f"a {kind} JPEG picture")
    if body[0] != 8:
        raise _unsupported(f"a JPEG picture of {body[0]} bits a sample")
    if body[1:3] == b"\0\0":
        raise _unsupported("a JPEG picture with its height only at its end")
    if body[5] not in (1, 3, 4):
        raise _unsupported(f"a JPEG picture of {body[5]} components")
    if not all(1 <= factors >> 4 <= 4 and 1 <= factors & 15 <= 4 for factors in body[7::3]):
        raise DamagedError("sampling factors")


def _make_segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + (len(body) + 2).to_bytes(2, "big") + body


def _unsupported(kind: str) -> InputError:
    return InputError(UNSUPPORTED_TYPE, f"This is {kind}. Save it as a baseline JPEG of 8 bits a sample.")
