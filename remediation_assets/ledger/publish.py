"""Publish the ledger: replace `remediation.duckdb` by a read-only copy of it in one rename.

Called with the ledger's lock held and DuckDB closed in this process: copying the file while this process has it open
would drop DuckDB's own lock when the copy's descriptor is closed.
"""

import fcntl
import os
import shutil
import time
from pathlib import Path


def is_stale(ledger: Path, published: Path) -> bool:
    """Whether the ledger has changed since it was published: it has another mtime or size, or a write-ahead log."""
    try:
        source = ledger.stat()
    except FileNotFoundError:
        return False
    if _wal(ledger).exists():
        return True
    try:
        copy = published.stat()
    except FileNotFoundError:
        return True
    # Equality and not order: a ledger restored from a backup is older than its published copy, and still news.
    return (source.st_mtime_ns, source.st_size) != (copy.st_mtime_ns, copy.st_size)


def age_seconds(published: Path) -> float:
    """Return the seconds since the last publication, infinite if there was none."""
    try:
        # The modification time is the ledger's; the rename sets the change time.
        return max(0.0, time.time() - published.stat().st_ctime)
    except FileNotFoundError:
        return float("inf")


def publish(ledger: Path, published: Path) -> bool:
    """Copy the ledger and rename the copy over the published results; return whether they were replaced.

    While a foreign program writes to the ledger, the published results stay as they are.

    The order matters. The shared lock shows, without waiting, that no foreign program is writing while the file is
    copied. The copy is synced before it is renamed, so that a crash of the machine leaves either the old results or
    all of the new ones. The copy gets the ledger's modification time before it is renamed, because staleness is
    decided by comparing these times, not by a clock. And a write-ahead log beside the old results is removed before
    the rename, because a new reader would replay it into the new file and show rows that were never committed
    together.
    """
    # With a write-ahead log the file alone is not the whole ledger.
    if not ledger.exists() or _wal(ledger).exists():
        return False
    # One fixed name: what a killed process leaves is replaced by the next one and does not pile up.
    building = published.with_suffix(".publishing")
    with ledger.open("rb") as source:
        try:
            fcntl.lockf(source, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        stat = os.fstat(source.fileno())
        # Not written over: a leftover may have mode 0444 already, which cannot be opened for writing.
        building.unlink(missing_ok=True)
        with building.open("wb") as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
            target.flush()
            os.fsync(target.fileno())
    os.utime(building, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    # A shell that forgets `-readonly` is refused instead of writing a log beside the results.
    building.chmod(0o444)
    _wal(published).unlink(missing_ok=True)
    building.rename(published)
    return True


def _wal(path: Path) -> Path:
    return Path(f"{path}.wal")
