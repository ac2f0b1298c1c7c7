"""Ledgers that are filled once in a session of pytest and then copied: filling one takes longer than most tests."""

import shutil
import tempfile
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path

from remediation_assets.ledger.ledger import Ledger

_kept: dict[Hashable, Path] = {}


def copy_ledger(source: Path, target: Path) -> None:
    """Copy the file of a ledger that nobody has open; no other code may copy one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def filled_once(ledger: Ledger, content: Hashable, fill: Callable[[], None]) -> None:
    """Fill a ledger, or copy one of the same stamp that was filled with this content before, without publishing it."""
    content = (ledger._stamp, content)
    if content not in _kept:
        fill()
        kept = Path(_folder().name) / f"{len(_kept)}.duckdb"
        copy_ledger(ledger.path, kept)
        _kept[content] = kept
    else:
        copy_ledger(_kept[content], ledger.path)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ledgers-")
