"""Which Dagster runs are alive: each of ours holds a lock, which the kernel frees when its process dies.

Dagster itself does not notice that a run was killed outright; it would stay STARTED for ever, and
every run of its partition would wait for it.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg

from remediation_assets.ledger.errors import LedgerBusy, LedgerError
from remediation_assets.ledger.locks import held

PROCESS_TAG = "remediation/process"

_UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@contextmanager
def alive(instance: dg.DagsterInstance, run_id: str, data_dir: Path) -> Iterator[None]:
    """Hold the run's lock while it is under way, and note in its tags which process that is."""
    path = _lock_of(data_dir, run_id)
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(path, timeout=0))
        except (LedgerError, OSError):
            # Another process of the same run holds it; or the folder cannot be used, which the first asset tells.
            yield
            return
        stack.callback(_forget, path)  # while it is still held, so that nobody finds it free
        instance.add_run_tags(run_id, {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}"})
        yield


def report_dead_runs(instance: dg.DagsterInstance, data_dir: Path) -> list[str]:
    """Report as failed every run under way whose process is gone; say which.

    A run without a lock is left alone: it has not come so far, or is just ending.
    """
    told = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY)):
        path = _lock_of(data_dir, run.run_id)
        if not path.exists():
            continue
        try:
            with held(path, timeout=0):
                now = instance.get_run_by_id(run.run_id)
                if now is None or now.status not in _UNDER_WAY:
                    continue  # it has come to its end meanwhile
                process = run.tags.get(PROCESS_TAG, "its process")
                message = f"{process} is gone, so the run cannot go on. Its sessions are followed; run it again."
                instance.report_run_failed(run, message)
                told.append(f"run {run.run_id[:8]} of {run.job_name}: {message}")
        except LedgerBusy:
            continue
        _forget(path)
    return told


def _lock_of(data_dir: Path, run_id: str) -> Path:
    return data_dir / "runs" / f"{run_id}.lock"


def _forget(path: Path) -> None:
    # A run's lock is used once, so unlike the ledger's it may go.
    path.unlink(missing_ok=True)
    path.with_suffix(".holder").unlink(missing_ok=True)
