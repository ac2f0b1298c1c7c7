"""Waves under a real daemon: queued, killed, restarted, upgraded, backfilled, and left alone."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import dagster as dg

from tests.end_to_end.dagster_dev import dagster_dev, wait_until
from tests.end_to_end.unattended import ALL_SUCCEED_AT_ONCE, WAVES, run_unattended
from tests.support.processes import CHECKOUT


def test_a_killed_run_is_told_failed_and_the_next_in_the_queue_loses_no_session(shell: Any, sample: str) -> None:
    assert shell.remediate("plan", sample).returncode == 0
    slow = {"MOCK_TIME_SCALE": "4", "MAX_PARALLEL_SESSIONS": "3", "POLL_INTERVAL_SECONDS": "1"}
    with dagster_dev(shell.home, shell.env | slow) as dev:
        first, second = dev.launch("remediate_wave", "wave-0001"), dev.launch("remediate_wave", "wave-0001")
        wait_until(lambda: shell.sessions_at_devin() >= 3, seconds=60)
        assert dev.status_of(second) is dg.DagsterRunStatus.QUEUED
        process = json.loads((shell.data / "runs" / f"{first}.holder").read_text())["pid"]
        os.kill(process, signal.SIGKILL)
        wait_until(lambda: dev.status_of(first) is dg.DagsterRunStatus.FAILURE, seconds=60)
        wait_until(lambda: dev.run(second).is_finished, seconds=120)
        assert dev.status_of(second) is dg.DagsterRunStatus.SUCCESS
    [(attempts,)] = shell.query("SELECT count(session_id) FROM attempts")
    assert shell.sessions_at_devin() == attempts


def test_four_waves_run_to_their_end_with_nobody_touching_anything(shell: Any) -> None:
    fast = {"MOCK_SEED": str(ALL_SUCCEED_AT_ONCE), "MOCK_TIME_SCALE": "20", "POLL_INTERVAL_SECONDS": "1"}
    run_unattended(shell.home, shell.env | fast, patience_seconds=180)
    verdicts = shell.query(
        """
        SELECT g.wave, g.passed, (SELECT min(dispatched_at) FROM attempts a WHERE a.wave_number = g.wave_number),
            g.decided_at
        FROM gate_results g ORDER BY g.wave
        """
    )
    assert [(wave, passed) for wave, passed, *_ in verdicts] == [(wave, True) for wave in WAVES]
    # No wave began before the gate of the one before it was judged.
    times = [at for *_, first, decided in verdicts for at in (first, decided)]
    assert times == sorted(times)
    assert shell.sessions_at_devin() == 20


def test_a_wave_outlives_its_daemon_a_run_by_hand_beside_it_and_a_newer_version(shell: Any, tmp_path: Path) -> None:
    slow = {"MOCK_SEED": str(ALL_SUCCEED_AT_ONCE), "MOCK_TIME_SCALE": "4", "POLL_INTERVAL_SECONDS": "1"}
    shell.env |= slow
    with dagster_dev(shell.home, shell.env) as dev:
        planned = dev.launch("plan_waves")
        wait_until(lambda: dev.run(planned).is_finished, seconds=60)
        dev.launch("dispatch_wave", "wave-0001")
        wait_until(lambda: shell.sessions_at_devin() == 5, seconds=60)
        # By hand, in the middle of what the sensor is doing.
        by_hand = shell.job("remediate_wave", "wave-0001")
        assert by_hand.returncode == 0, by_hand.stderr
        wait_until(lambda: all(run.is_finished for run in dev.instance.get_runs()), seconds=60)
        assert all(run.is_success for run in dev.instance.get_runs())
        assert shell.sessions_at_devin() == 5

        dev.launch("dispatch_wave", "wave-0002")
        wait_until(lambda: shell.sessions_at_devin() == 10, seconds=60)
        dev.kill()

    newer = a_newer_version(tmp_path / "newer")
    with dagster_dev(shell.home, shell.env | {"PYTHONPATH": str(newer)}) as dev:
        description = dev.graphql(
            '{ assetNodeOrError(assetKey: {path: ["waves"]}) { ... on AssetNode { description } } }'
        )
        assert "One row of a newer version" in description["assetNodeOrError"]["description"]
        wait_until(lambda: any(run.is_success for run in dev.runs("collect_wave", "wave-0002")), seconds=60)
        assert dev.instance.get_dynamic_partitions("wave") == list(WAVES)
        assert dev.instance.get_materialized_partitions(dg.AssetKey("session_results")) == set(WAVES[:2])
        # The run that dispatched may have been killed as well; it does not stay in the way of others.
        assert all(run.is_finished for run in dev.instance.get_runs())
        assert shell.sessions_at_devin() == 10

        # A backfill of the rest: one after the other, each gate guarding the next.
        backfill = shell.run(
            *["dagster", "job", "backfill", "-m", "remediation_assets.definitions", "-j", "remediate_wave"],
            *["--partitions", "wave-0003,wave-0004", "--noprompt"],
        )
        assert backfill.returncode == 0, backfill.stderr
        wait_until(lambda: len(dev.runs("remediate_wave")) == 3, seconds=60)
        wait_until(lambda: all(run.is_finished for run in dev.runs("remediate_wave")), seconds=120)
        assert all(run.is_success for run in dev.runs("remediate_wave"))
    assert shell.query("SELECT wave, passed FROM gate_results ORDER BY decided_at") == [(wave, True) for wave in WAVES]
    assert shell.query("SELECT count(*), count(DISTINCT session_id) FROM attempts") == [(20, 20)]
    assert shell.sessions_at_devin() == 20


def a_newer_version(folder: Path) -> Path:
    """Make a copy of the code that differs in what an asset says of itself."""
    for part in ("remediation_assets", "playbooks", "sample_data", "dagster_home/dagster.yaml"):
        source, target = CHECKOUT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    waves = folder / "remediation_assets" / "orchestration" / "assets" / "waves.py"
    waves.write_text(waves.read_text().replace("One row per wave", "One row of a newer version per wave"))
    return folder
