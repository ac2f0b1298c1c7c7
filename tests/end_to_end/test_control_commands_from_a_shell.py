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
    assert "remediate resume`: a look first" in status.stdout
    assert "5 attempts are stopped." in stopped.stdout
    assert "No session of these attempts is left.\n" in stopped.stdout
    assert stopped.stdout.splitlines()[-1].endswith(
        f"remediate run {sample}` runs what was stopped of wave-0001 again."
    )
    assert (run.returncode, "Traceback" in out + err) == (3, False)
    assert query(shell, "SELECT DISTINCT outcome FROM attempts") == [("cancelled",)]
    assert query(shell, "SELECT count(*) FROM attempts WHERE terminated_at IS NULL") == [(0,)]
    assert query(shell, "SELECT verdict, opens, answerable FROM gate_results") == [("not_judged", False, 0)]
    assert err.splitlines()[-1].startswith("wave-0001 was stopped, and nothing of it counts. ")

    # The way on from here: first the pause is named, then resume names the command, and that runs to the end.
    paused = shell.remediate("run", sample)
    assert paused.returncode == 3
    assert paused.stderr.startswith("wave-0001 is not started: dispatching is on hold (person) until ")
    assert "remediate resume`" in paused.stderr
    assert shell.sessions_at_devin() == 5
    resumed = shell.remediate("resume")
    assert resumed.returncode == 0
    assert resumed.stdout.endswith(f"remediate run {sample}` goes on.\n")
    assert query(shell, "SELECT count(*) FROM holds WHERE lifted_at IS NULL") == [(0,)]
    shell.speed_up(200)
    finished = shell.remediate("run", sample)
    assert finished.returncode == 0, finished.stderr
    assert "wave-0001 was not judged, because no outcome of it counts; it is run again." in finished.stdout
    assert "20 findings fixed (100% of 20 with a result)" in finished.stdout
    verdicts = query(shell, "SELECT wave, round, verdict FROM gate_results ORDER BY wave, round")
    assert verdicts == [("wave-0001", 1, "not_judged"), ("wave-0001", 2, "passed")] + [
        (f"wave-000{number}", 1, "passed") for number in (2, 3, 4)
    ]
    assert query(shell, "SELECT count(*) FROM attempts WHERE session_id IS NOT NULL") == [(shell.sessions_at_devin(),)]


def test_an_order_without_a_ledger_says_what_to_do(shell: Any, traceback_free: CheckTraceback) -> None:
    for command in ("pause", "resume", "stop"):
        finished = shell.remediate(command)
        traceback_free(finished)
        assert finished.returncode == 1
        assert finished.stderr.startswith("Error: There is no ledger yet; run `")
        assert finished.stderr.endswith("remediate plan FILE` first.\n")


def test_a_stop_of_an_unknown_wave_says_so(shell: Any, sample: str, traceback_free: CheckTraceback) -> None:
    shell.remediate("plan", sample)
    finished = shell.remediate("stop", "--wave", "wave-9999")
    traceback_free(finished)
    assert (finished.returncode, "wave-9999" in finished.stderr) == (2, True)
