"""Runs whose process is gone are told apart from those that are under way."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from remediation_assets.definitions import defs
from remediation_assets.liveness import PROCESS_TAG, alive, report_dead_runs
from tests.processes import running

HOLD_FOR_EVER = """
import sys
from pathlib import Path
from remediation_assets.ledger.locks import held
with held(Path(sys.argv[1]), timeout=5):
    print("ready", flush=True)
    sys.stdin.read()
"""


def a_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    return instance.create_run_for_job(defs.resolve_job_def("plan_waves"), status=dg.DagsterRunStatus.STARTED)


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_a_run_whose_process_was_killed_is_reported_as_failed(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run = a_run(instance)
    lock = tmp_path / "runs" / f"{run.run_id}.lock"
    lock.parent.mkdir()
    with running(HOLD_FOR_EVER, lock) as process:
        assert report_dead_runs(instance, tmp_path) == []
        assert status_of(instance, run) is dg.DagsterRunStatus.STARTED
        process.kill()
        process.wait()
        [message] = report_dead_runs(instance, tmp_path)
    assert message.startswith(f"run {run.run_id[:8]} of plan_waves: its process is gone")
    assert status_of(instance, run) is dg.DagsterRunStatus.FAILURE
    assert report_dead_runs(instance, tmp_path) == []
    assert list(lock.parent.iterdir()) == []


def test_a_run_that_is_under_way_or_not_ours_is_left_alone(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    ours, other = a_run(instance), a_run(instance)
    with alive(instance, ours.run_id, tmp_path):
        assert report_dead_runs(instance, tmp_path) == []
        found = instance.get_run_by_id(ours.run_id)
        assert found is not None
        assert PROCESS_TAG in found.tags
    assert [status_of(instance, run) for run in (ours, other)] == [dg.DagsterRunStatus.STARTED] * 2
    assert list((tmp_path / "runs").iterdir()) == []


def test_every_run_of_ours_gives_a_sign_of_life(
    execute: Callable[..., Any], instance: dg.DagsterInstance, home: Path
) -> None:
    assert execute("plan_waves").success
    [run] = instance.get_runs()
    assert PROCESS_TAG in run.tags
    assert list((home / "data" / "runs").iterdir()) == []
