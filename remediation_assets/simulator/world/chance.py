"""The simulator's chance: a hash of a text, so that order, time and process change nothing."""

import hashlib
from collections.abc import Iterator, Mapping


def chances(text: str) -> Iterator[float]:
    """Yield numbers from 0 up to, but not including, 1: the same for the same text, always and everywhere."""
    # Every text hashed here, and the order of the draws from it, is part of what a seed promises: with either
    # changed, all seeds draw other outcomes, and runs can no longer be compared with older ones.
    number = 0
    while True:
        digest = hashlib.sha256(text.encode("utf-8", "replace") + bytes([number])).digest()
        number += 1
        for start in range(0, len(digest), 8):
            # 53 bits fill a float exactly, so that the quotient stays below 1.
            yield (int.from_bytes(digest[start : start + 8]) >> 11) / 2**53


def pick(shares: Mapping[str, float], chance: float) -> str | None:
    """Return the name whose share of the range from 0 to 1 contains the chance, or None beyond all shares."""
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if chance < reached:
            return name
    return None
