"""Which Dagster runs are alive: each of ours holds a lock, which the kernel releases when its process dies.

Dagster itself does not notice that the process of a run was killed. The run would stay STARTED, and every later run
of its partition would wait for it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg

from remediation_assets.locks import LockHeld, LockUnusable, held, holder_of

LOCKED_TAG = ".dagster/remediation_locked"
"""Tag of a run that has taken its lock. Dagster shows no tag with this prefix.

Its value is the id of the run, because running it again from the UI copies the tags to a run without a lock.
"""

PROCESS_TAG = "remediation/process"
"""Tag that runs of older versions have instead: its value is host and process."""

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
    """Hold the run's lock while the block runs, and tag the run as locked."""
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
        instance.add_run_tags(run_id, {LOCKED_TAG: run_id})
        yield


def report_dead_runs(
    instance: dg.DagsterInstance, data_dir: Path, *, now: Callable[[], float] = time.time
) -> list[str]:
    """Report as failed every run of ours whose process is gone although Dagster believes the run to be under way.

    Return a message for each such run. A run that has taken its lock but has no lock file is skipped: it is just
    ending, or it works on another data directory. A run that has not taken it has START_MINUTES to start.
    """
    messages = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_BEGUN)):
        run, path = record.dagster_run, _lock_path(data_dir, record.dagster_run.run_id)
        if path.exists():
            # Before the lock is taken, which puts this process into the note.
            process = holder_of(path)
            try:
                # The file is there: if its lock is free, its process has died.
                with held(path, timeout=0):
                    message = f"it was run by {process}, which is gone. Sessions that it started go on; {_again(run)}."
                    messages += _report(instance, run, message)
            except LockHeld:
                continue
            _remove_lock(path)
        elif (
            not _has_taken_its_lock(run)
            and _is_ours(run)
            and now() - record.update_timestamp.timestamp() > START_MINUTES * 60
        ):
            message = f"it has not reached its first step within {START_MINUTES:g} minutes; {_again(run)}."
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


def _has_taken_its_lock(run: dg.DagsterRun) -> bool:
    return run.tags.get(LOCKED_TAG) == run.run_id or PROCESS_TAG in run.tags


def _again(run: dg.DagsterRun) -> str:
    """Return how to do again what the run was for."""
    wave = run.tags.get("dagster/partition")
    # Assets that somebody selects in the UI run in a job of Dagster that nobody can launch.
    what = "materialize the same assets" if run.job_name.startswith("__") else f"launch {run.job_name}"
    return f"{what} for {wave} again" if wave else f"{what} again"


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
