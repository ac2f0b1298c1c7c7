"""The pipeline's file locks, and which process holds one.

They are kernel locks (`flock`): freed when a process dies, and binding for threads too because each use opens the
file again. Lock files are never deleted, because a process may wait on one that another has just removed.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from remediation_assets.errors import RemediationError


class LockHeld(RemediationError):
    """Another process, or another thread, holds the lock; the text names it."""


class LockUnusable(RemediationError):
    """The file system cannot lock the file; the text says what to use instead."""


@contextmanager
def held(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold the lock at `path`; raise LockHeld, naming the holder, after `timeout` seconds (0: at once)."""
    # A soft lock would survive its process, so a file system without flock is refused.
    lock = FileLock(path, thread_local=False, fallback_to_soft=False, preserve_lock_file=True)
    try:
        # filelock asks again and again; transactions take milliseconds, so waiting longer in between would be waste.
        lock.acquire(timeout=timeout, poll_interval=0.01)
    except Timeout:
        raise LockHeld(f"{path.name} is held by {holder_of(path)}; wait for it, or end it.") from None
    except (OSError, NotImplementedError) as error:
        raise LockUnusable(
            f"{path} cannot be locked ({error}); use a data directory on a local disk that you may write to."
        ) from error
    try:
        _note_holder(path)
        yield
    finally:
        lock.release()


def holder_of(path: Path) -> str:
    """Return the name of the last process that recorded itself as holder of the lock at `path`."""
    try:
        # Only a note: its process may have died, or the lock may have changed hands since it was written.
        note = json.loads(_note_of(path).read_text())
        return f"process {note['pid']} on {note['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def this_process() -> str:
    """Return the name of this process as a claim stores it: the host and the process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _note_of(path: Path) -> Path:
    return path.with_suffix(".holder")


def _note_holder(path: Path) -> None:
    # Only a help for people, so a full disk must not stop the holder.
    with suppress(OSError):
        _note_of(path).write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
