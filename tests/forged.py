"""JPEG and WebP files built byte by byte, small in size but costly to decode."""

import math
import struct

import numpy as np

GREY = ((1, 1),)
FULL = ((1, 1),) * 3  # 4:4:4
QUARTER = ((2, 2), (1, 1), (1, 1))  # 4:2:0


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def frame(marker: int, width: int, height: int, sampling=FULL, *, bits: int = 8) -> bytes:
    """SOF: the size, and the sampling factors of each component."""
    components = (bytes([i, h << 4 | v, 0]) for i, (h, v) in enumerate(sampling, 1))
    return segment(marker, struct.pack(">BHHB", bits, height, width, len(sampling)) + b"".join(components))


def tables(*symbols: int) -> bytes:
    """DQT of ones; DHT in which AC symbols have codes of one bit (0, 1) or two (00, 01, 10), and DC 0 is 0."""
    lengths = bytes([len(symbols), 0]) if len(symbols) < 3 else bytes([0, len(symbols)])
    codes = lengths + bytes(14) + bytes(symbols)
    dc = bytes([1]) + bytes(15) + b"\0"
    return segment(0xDB, b"\0" + b"\1" * 64) + segment(0xC4, b"\0" + dc) + segment(0xC4, b"\x10" + codes)


def scan(components, first: int, last: int, data: bytes) -> bytes:
    """SOS over coefficients `first` to `last`, with its entropy-coded data."""
    pairs = b"".join(bytes([component, 0]) for component in components)
    header = segment(0xDA, bytes([len(components)]) + pairs + bytes([first, last, 0]))
    return header + data.replace(b"\xff", b"\xff\0")


def zeros(bits: int) -> bytes:
    """Return this number of 0 bits, padded with 1 to whole bytes."""
    data = bytearray((bits + 7) // 8)
    if bits % 8:
        data[-1] = (1 << 8 - bits % 8) - 1
    return bytes(data)


def blocks(width: int, height: int, sampling=FULL) -> int:
    """Return the number of 8x8 blocks in an interleaved scan."""
    across, down = (max(factors) for factors in zip(*sampling, strict=True))
    mcus = math.ceil(width / 8 / across) * math.ceil(height / 8 / down)
    return mcus * sum(h * v for h, v in sampling)


def grey_jpeg(width: int, height: int, *, sampling=FULL) -> bytes:
    """A baseline JPEG of one colour."""
    data = zeros(2 * blocks(width, height, sampling))
    components = range(1, len(sampling) + 1)
    body = frame(0xC0, width, height, sampling) + tables(0) + scan(components, 0, 63, data)
    return b"\xff\xd8" + body + b"\xff\xd9"


def jpeg_of_scans(width: int, height: int, scans: int, *, fill: bytes = b"") -> bytes:
    """A progressive JPEG of one colour whose every scan but the first says in a few bytes that there is nothing new.

    Args:
        width: In pixels.
        height: In pixels.
        scans: How many.
        fill: What stands before each marker of a scan.
    """
    # EOB14: a run of blocks whose length is in the next 14 bits.
    runs = math.ceil(blocks(width, height, GREY) / 16384)
    first = scan(range(1, len(FULL) + 1), 0, 0, zeros(blocks(width, height, FULL)))
    more = fill + scan([1], 1, 63, zeros(15 * runs))
    body = frame(0xC2, width, height, FULL) + tables(0xE0) + first + more * (scans - 1)
    return b"\xff\xd8" + body + fill + b"\xff\xd9"


def webp_of_groups(groups: int) -> bytes:
    """Return a lossless WebP of one colour with a group of Huffman tables for every 16 pixels."""

    def bits(value: int, count: int) -> list[int]:
        return [value >> place & 1 for place in range(count)]

    side = 4 * math.isqrt(groups - 1) + 4
    lengths = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8)  # the order of code lengths; 0 and 8 are used
    codes = [0, *bits(8, 4), *(bit for length in lengths for bit in bits(int(length in (0, 8)), 3)), 0]
    index = [0, *codes, *[1] * 256, *[0] * 24, *codes, *[1] * 256, *[1, 0, 0, 0] * 3]
    head = [
        *bits(0x2F, 8),
        *bits(side - 1, 14),
        *bits(side - 1, 14),
        *bits(0, 4),
        0,
        0,
        1,
        *bits(0, 3),
        *index,
    ]
    numbers = np.minimum(np.arange((side // 4) ** 2), groups - 1)
    pairs = np.stack([numbers & 255, numbers >> 8], axis=1).astype(np.uint8)
    tables = np.tile(np.array([1, 0, 0, 0] * 5, np.uint8), groups)
    stream = np.concatenate([np.array(head, np.uint8), np.unpackbits(pairs), tables, np.zeros(64, np.uint8)])
    body = np.packbits(stream, bitorder="little").tobytes()
    chunks = b"WEBPVP8L" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks
