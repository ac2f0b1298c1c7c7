"""Runs under a real daemon: one that is killed shows as failed, and the next in the queue goes on."""

import os
import signal
from typing import Any

import dagster as dg

from remediation_assets.liveness import PROCESS_TAG
from tests.end_to_end.dagster_dev import dagster_dev, wait_until


def test_a_killed_run_is_told_failed_and_the_next_in_the_queue_loses_no_session(shell: Any, sample: str) -> None:
    assert shell.remediate("plan", sample).returncode == 0
    slow = {"MOCK_TIME_SCALE": "4", "MAX_PARALLEL_SESSIONS": "3", "POLL_INTERVAL_SECONDS": "1"}
    with dagster_dev(shell.home, shell.env | slow) as dev:
        first, second = dev.launch("remediate_wave", "wave-0001"), dev.launch("remediate_wave", "wave-0001")
        wait_until(lambda: shell.sessions_at_devin() >= 3, seconds=60)
        assert dev.status_of(second) is dg.DagsterRunStatus.QUEUED
        os.kill(int(dev.run(first).tags[PROCESS_TAG].rpartition(":")[2]), signal.SIGKILL)
        wait_until(lambda: dev.status_of(first) is dg.DagsterRunStatus.FAILURE, seconds=60)
        wait_until(lambda: dev.run(second).is_finished, seconds=120)
        assert dev.status_of(second) is dg.DagsterRunStatus.SUCCESS
    [(attempts,)] = shell.query("SELECT count(session_id) FROM attempts")
    assert shell.sessions_at_devin() == attempts
