"""Runs whose process is gone are reported as failed, those that are under way are not."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import TagType, get_tag_type

from remediation_assets.definitions import defs
from remediation_assets.orchestration.run_liveness import (
    LOCKED_TAG,
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
    assert message == (
        f"run {run.run_id[:8]} of plan_waves: it was run by process {process.pid} on {socket.gethostname()}, which is "
        "gone. Sessions that it started go on; launch plan_waves again."
    )
    assert status_of(instance, run) is dg.DagsterRunStatus.FAILURE
    assert report_dead_runs(instance, tmp_path) == []
    assert list(lock.parent.iterdir()) == []


def test_a_run_that_is_under_way_or_not_ours_is_left_alone(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    ours, other = a_run(instance), a_run(instance)
    with alive(instance, ours.run_id, tmp_path):
        assert report_dead_runs(instance, tmp_path) == []
        found = instance.get_run_by_id(ours.run_id)
        assert found is not None
        assert found.tags[LOCKED_TAG] == ours.run_id
    assert [status_of(instance, run) for run in (ours, other)] == [dg.DagsterRunStatus.STARTED] * 2
    assert list((tmp_path / "runs").iterdir()) == []


def test_every_run_of_ours_takes_its_lock_and_removes_it(
    execute: Callable[..., Any], instance: dg.DagsterInstance, home: Path
) -> None:
    assert execute("plan_waves").success
    [run] = instance.get_runs()
    assert run.tags[LOCKED_TAG] == run.run_id
    # The list of runs shows what is left, and a process is of no interest there.
    kinds = {tag: get_tag_type(tag) for tag in run.tags}  # type: ignore[no-untyped-call]
    assert kinds[LOCKED_TAG] is TagType.HIDDEN
    assert TagType.USER_PROVIDED not in kinds.values()
    assert list((home / "data" / "runs").iterdir()) == []


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_a_run_that_was_killed_before_its_first_step_is_reported_after_some_minutes(
    instance: dg.DagsterInstance, tmp_path: Path, status: dg.DagsterRunStatus
) -> None:
    run = instance.create_run_for_job(defs.resolve_job_def("plan_waves"), status=status)
    later = time.time() + START_MINUTES * 60 + 1
    assert report_dead_runs(instance, tmp_path) == []
    [message] = report_dead_runs(instance, tmp_path, now=lambda: later)
    assert "it has not reached its first step within 10 minutes; launch plan_waves again." in message
    assert status_of(instance, run) is dg.DagsterRunStatus.FAILURE


def test_a_run_of_another_project_or_of_another_data_directory_is_left_alone(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    @dg.job
    def of_others() -> None:
        pass

    theirs = instance.create_run_for_job(of_others, status=dg.DagsterRunStatus.STARTED)
    elsewhere = a_run(instance)
    instance.add_run_tags(elsewhere.run_id, {LOCKED_TAG: elsewhere.run_id})
    later = time.time() + 24 * 3600
    assert report_dead_runs(instance, tmp_path, now=lambda: later) == []
    assert [status_of(instance, run) for run in (theirs, elsewhere)] == [dg.DagsterRunStatus.STARTED] * 2


def test_a_run_that_copied_its_tags_from_another_has_taken_no_lock(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run = a_run(instance)
    instance.add_run_tags(run.run_id, {LOCKED_TAG: "the run that it repeats", "dagster/partition": "wave-0002"})
    later = time.time() + START_MINUTES * 60 + 1
    [message] = report_dead_runs(instance, tmp_path, now=lambda: later)
    assert message.endswith("; launch plan_waves for wave-0002 again.")


def test_a_run_that_an_older_version_tagged_has_taken_its_lock(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run = a_run(instance)
    instance.add_run_tags(run.run_id, {PROCESS_TAG: "a-host:7"})
    later = time.time() + START_MINUTES * 60 + 1
    assert report_dead_runs(instance, tmp_path, now=lambda: later) == []
    lock = tmp_path / "runs" / f"{run.run_id}.lock"
    lock.parent.mkdir()
    lock.touch()
    [message] = report_dead_runs(instance, tmp_path)
    assert "it was run by another process, which is gone" in message


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
