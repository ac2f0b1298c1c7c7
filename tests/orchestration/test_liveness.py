"""Runs whose process is gone are reported as failed, those that are under way are not."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from remediation_assets.definitions import defs
from remediation_assets.orchestration.run_liveness import (
    PROCESS_TAG,
    START_MINUTES,
    alive,
    report_dead_runs,
)
from tests.support.processes import running

HOLD_LOCK = """
import sys
from pathlib import Path
from remediation_assets.locks import held
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
    with running(HOLD_LOCK, lock) as process:
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


def test_every_run_of_ours_records_its_process_and_removes_its_lock(
    execute: Callable[..., Any], instance: dg.DagsterInstance, home: Path
) -> None:
    assert execute("plan_waves").success
    [run] = instance.get_runs()
    assert PROCESS_TAG in run.tags
    assert list((home / "data" / "runs").iterdir()) == []


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_a_run_that_was_killed_before_its_first_step_is_reported_after_some_minutes(
    instance: dg.DagsterInstance, tmp_path: Path, status: dg.DagsterRunStatus
) -> None:
    run = instance.create_run_for_job(defs.resolve_job_def("plan_waves"), status=status)
    later = time.time() + START_MINUTES * 60 + 1
    assert report_dead_runs(instance, tmp_path) == []
    [message] = report_dead_runs(instance, tmp_path, now=lambda: later)
    assert "it has not reached its first step within 10 minutes; run it again." in message
    assert status_of(instance, run) is dg.DagsterRunStatus.FAILURE


def test_a_run_of_another_project_or_of_another_data_directory_is_left_alone(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    @dg.job
    def of_others() -> None:
        pass

    theirs = instance.create_run_for_job(of_others, status=dg.DagsterRunStatus.STARTED)
    elsewhere = a_run(instance)
    instance.add_run_tags(elsewhere.run_id, {PROCESS_TAG: "another-host:7"})
    later = time.time() + 24 * 3600
    assert report_dead_runs(instance, tmp_path, now=lambda: later) == []
    assert [status_of(instance, run) for run in (theirs, elsewhere)] == [dg.DagsterRunStatus.STARTED] * 2


def test_a_run_of_any_of_our_jobs_or_of_any_of_our_assets_is_ours(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    @dg.asset
    def of_others() -> None:
        pass

    jobs = {job.name: job for job in defs.resolve_all_job_defs()}
    selected = jobs.pop("__ASSET_JOB")
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    started = dg.DagsterRunStatus.STARTED
    runs = [instance.create_run_for_job(job, status=started) for job in jobs.values()]
    runs += [instance.create_run_for_job(selected, status=started, asset_selection=frozenset({key})) for key in keys]
    theirs = instance.create_run_for_job(
        dg.Definitions(assets=[of_others]).resolve_implicit_global_asset_job_def(),
        status=started,
        asset_selection=frozenset({of_others.key}),
    )
    later = time.time() + START_MINUTES * 60 + 1
    assert len(report_dead_runs(instance, tmp_path, now=lambda: later)) == len(runs) == 4 + 7
    assert status_of(instance, theirs) is started
