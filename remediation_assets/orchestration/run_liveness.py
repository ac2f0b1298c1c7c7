"""Which Dagster runs are alive: each of ours holds a lock, which the kernel frees when its process dies.

Dagster itself does not notice that a run was killed outright; it would stay STARTED for ever, and
every run of its partition would wait for it.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg

from remediation_assets.locks import LockHeld, LockUnusable, held

PROCESS_TAG = "remediation/process"

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

START_MINUTES = 10.0
"""A run of ours that has not come to its first step after so long was killed on its way there."""

_UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_BEGUN = [dg.DagsterRunStatus.STARTING, *_UNDER_WAY]


@contextmanager
def alive(instance: dg.DagsterInstance, run_id: str, data_dir: Path) -> Iterator[None]:
    """Hold the run's lock while it is under way, and note in its tags which process that is."""
    path = _lock_of(data_dir, run_id)
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(path, timeout=0))
        except (LockHeld, LockUnusable, OSError):
            # Another process of the same run holds it; or the folder cannot be used, which the first asset tells.
            yield
            return
        stack.callback(_forget, path)  # while it is still held, so that nobody finds it free
        instance.add_run_tags(run_id, {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}"})
        yield


def report_dead_runs(
    instance: dg.DagsterInstance, data_dir: Path, *, now: Callable[[], float] = time.time
) -> list[str]:
    """Report as failed every run of ours that is said to be under way and whose process is gone; say which.

    A run without a lock that has told its process is left alone: it is just ending, or works on another
    data directory. One that has told none is given time to start.
    """
    told = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_BEGUN)):
        run, path = record.dagster_run, _lock_of(data_dir, record.dagster_run.run_id)
        if path.exists():
            try:
                with held(path, timeout=0):
                    process = run.tags.get(PROCESS_TAG, "its process")
                    message = f"{process} is gone, so the run cannot go on. Its sessions are followed; run it again."
                    told += _report(instance, run, message)
            except LockHeld:
                continue
            _forget(path)
        elif (
            PROCESS_TAG not in run.tags
            and _is_ours(run)
            and now() - record.update_timestamp.timestamp() > START_MINUTES * 60
        ):
            message = f"it has not come to its first step within {START_MINUTES:g} minutes; run it again."
            told += _report(instance, run, message)
    return told


def _report(instance: dg.DagsterInstance, run: dg.DagsterRun, message: str) -> list[str]:
    """Report a run as failed, unless it has come to its end meanwhile."""
    now = instance.get_run_by_id(run.run_id)
    if now is None or now.status not in _BEGUN:
        return []
    instance.report_run_failed(run, message)
    return [f"run {run.run_id[:8]} of {run.job_name}: {message}"]


def _is_ours(run: dg.DagsterRun) -> bool:
    """Whether a run belongs to this project; other projects may share its Dagster instance."""
    # Here and not above: the assets use `alive` through their resource, and the jobs are made of the assets.
    from .jobs import ASSETS, JOBS

    # A run of one of the jobs, or one of assets that were selected in the UI, which has a job without a name of ours.
    selected = set(run.asset_selection or ())
    return run.job_name in {job.name for job in JOBS} or (
        bool(selected) and selected <= {asset.key for asset in ASSETS}
    )


def _lock_of(data_dir: Path, run_id: str) -> Path:
    return data_dir / "runs" / f"{run_id}.lock"


def _forget(path: Path) -> None:
    # A run's lock is used once, so unlike the ledger's it may go.
    path.unlink(missing_ok=True)
    path.with_suffix(".holder").unlink(missing_ok=True)
