"""The simulator's chance: a hash of words, so that order, time and process change nothing."""

import hashlib
from collections.abc import Iterator, Mapping


def chances(words: str) -> Iterator[float]:
    """Draw numbers from 0 up to 1, the same for the same words, always and everywhere."""
    number = 0
    while True:
        digest = hashlib.sha256(words.encode("utf-8", "replace") + bytes([number])).digest()
        number += 1
        for start in range(0, len(digest), 8):
            # 53 bits fill a float exactly, so that the quotient stays below 1.
            yield (int.from_bytes(digest[start : start + 8]) >> 11) / 2**53


def pick(shares: Mapping[str, float], chance: float) -> str | None:
    """Give the name in whose share a chance falls; shares stand side by side and the rest is None."""
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if chance < reached:
            return name
    return None
