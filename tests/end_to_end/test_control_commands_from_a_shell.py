"""`remediate pause`, `resume` and `stop` beside a run that is under way."""

import subprocess
import time
from collections.abc import Callable
from typing import Any

import duckdb

CheckTraceback = Callable[[subprocess.CompletedProcess[str]], None]


def wait_for_sessions(shell: Any, count: int) -> None:
    deadline = time.monotonic() + 60
    while shell.sessions_at_devin() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert shell.sessions_at_devin() >= count


def query(shell: Any, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shell.data / "remediation.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_stop_ends_every_session_and_the_run_that_waited_for_them(
    shell: Any, sample: str, traceback_free: CheckTraceback
) -> None:
    # At this pace no session comes to its end before it is stopped.
    with shell.start("remediate", "run", sample, MOCK_TIME_SCALE="0.01") as run:
        wait_for_sessions(shell, 5)
        paused = shell.remediate("pause", "--reason", "a look first", MOCK_TIME_SCALE="0.01")
        status = shell.remediate("status", MOCK_TIME_SCALE="0.01")
        stopped = shell.remediate("stop", MOCK_TIME_SCALE="0.01")
        out, err = run.communicate(timeout=60)
    for finished in (paused, status, stopped):
        traceback_free(finished)
        assert finished.returncode == 0, finished.stderr
    assert "until `remediate resume`: a look first" in status.stdout
    assert "5 attempts are stopped." in stopped.stdout
    assert stopped.stdout.endswith("No session of these attempts is left.\n")
    assert (run.returncode, "Traceback" in out + err) == (3, False)
    assert query(shell, "SELECT DISTINCT outcome FROM attempts") == [("cancelled",)]
    assert query(shell, "SELECT count(*) FROM attempts WHERE terminated_at IS NULL") == [(0,)]
    assert query(shell, "SELECT passed, answerable FROM gate_results") == [(False, 0)]
    resumed = shell.remediate("resume")
    assert resumed.returncode == 0
    assert query(shell, "SELECT count(*) FROM holds WHERE lifted_at IS NULL") == [(0,)]


def test_an_order_without_a_ledger_says_what_to_do(shell: Any, traceback_free: CheckTraceback) -> None:
    for command in ("pause", "resume", "stop"):
        finished = shell.remediate(command)
        traceback_free(finished)
        assert (finished.returncode, finished.stderr) == (
            1,
            "Error: There is no ledger yet; run `remediate plan FILE` first.\n",
        )


def test_a_stop_of_an_unknown_wave_says_so(shell: Any, sample: str, traceback_free: CheckTraceback) -> None:
    shell.remediate("plan", sample)
    finished = shell.remediate("stop", "--wave", "wave-9999")
    traceback_free(finished)
    assert (finished.returncode, "wave-9999" in finished.stderr) == (1, True)
