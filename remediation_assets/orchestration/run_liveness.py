"""Which Dagster runs are alive: each of ours holds a lock, which the kernel releases when its process dies.

Dagster itself does not notice that the process of a run was killed. The run would stay STARTED, and every later run
of its partition would wait for it.
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
"""Tag of a run that has taken its lock; its value is host and process."""

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

START_MINUTES = 10.0
"""A run of ours that has taken no lock after this time was killed before its first step."""

_UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_BEGUN = [dg.DagsterRunStatus.STARTING, *_UNDER_WAY]


@contextmanager
def alive(instance: dg.DagsterInstance, run_id: str, data_dir: Path) -> Iterator[None]:
    """Hold the run's lock while the block runs, and record the process in the run's tags."""
    path = _lock_path(data_dir, run_id)
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(path, timeout=0))
        except (LockHeld, LockUnusable, OSError):
            # Another process of the same run holds it. Or the folder cannot be used; then the first asset fails.
            yield
            return
        # Removed while it is still held: nobody may find it free and report the run.
        stack.callback(_remove_lock, path)
        instance.add_run_tags(run_id, {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}"})
        yield


def report_dead_runs(
    instance: dg.DagsterInstance, data_dir: Path, *, now: Callable[[], float] = time.time
) -> list[str]:
    """Report as failed every run of ours whose process is gone although Dagster believes the run to be under way.

    Return a message for each such run. A run that has PROCESS_TAG but no lock file is skipped: it is just ending, or it
    works on another data directory. A run without the tag has START_MINUTES to start.
    """
    messages = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_BEGUN)):
        run, path = record.dagster_run, _lock_path(data_dir, record.dagster_run.run_id)
        if path.exists():
            try:
                # The file is there: if its lock is free, its process has died.
                with held(path, timeout=0):
                    process = run.tags.get(PROCESS_TAG, "its process")
                    message = f"{process} is gone, so the run cannot go on. Its sessions are followed; run it again."
                    messages += _report(instance, run, message)
            except LockHeld:
                continue
            _remove_lock(path)
        elif (
            PROCESS_TAG not in run.tags
            and _is_ours(run)
            and now() - record.update_timestamp.timestamp() > START_MINUTES * 60
        ):
            message = f"it has not reached its first step within {START_MINUTES:g} minutes; run it again."
            messages += _report(instance, run, message)
    return messages


def _report(instance: dg.DagsterInstance, run: dg.DagsterRun, message: str) -> list[str]:
    """Report a run as failed unless it has ended by now."""
    # The records were read a while ago.
    now = instance.get_run_by_id(run.run_id)
    if now is None or now.status not in _BEGUN:
        return []
    instance.report_run_failed(run, message)
    return [f"run {run.run_id[:8]} of {run.job_name}: {message}"]


def _is_ours(run: dg.DagsterRun) -> bool:
    """Whether a run belongs to this project; other projects may share its Dagster instance."""
    # Here and not above: the assets use `alive` through their resource, and the jobs are made of the assets.
    from .jobs import ASSETS, JOBS

    # Assets that somebody selects in the UI run in an unnamed job of Dagster, not in one of ours.
    selected = set(run.asset_selection or ())
    return run.job_name in {job.name for job in JOBS} or (
        bool(selected) and selected <= {asset.key for asset in ASSETS}
    )


def _lock_path(data_dir: Path, run_id: str) -> Path:
    return data_dir / "runs" / f"{run_id}.lock"


def _remove_lock(path: Path) -> None:
    # A lock for which others wait must stay, or two processes could hold it. Nobody waits for that of a run.
    path.unlink(missing_ok=True)
    path.with_suffix(".holder").unlink(missing_ok=True)
