"""What docs/operations.md says to do on a bad day, done."""

import signal
import subprocess
import sys
from typing import Any

from tests.end_to_end.dagster_dev import wait_until

GATE_FAILS_THEN_MENDS = "1003"


def test_a_failed_gate_is_looked_at_run_again_and_gone_on_from(shell: Any, sample: str) -> None:
    seed = {"MOCK_SEED": GATE_FAILS_THEN_MENDS}
    assert shell.remediate("run", sample, **seed).returncode == 3
    [(wave,)] = shell.query("SELECT wave FROM gate_results WHERE NOT passed")
    columns = "finding_id, outcome, error_message, session_url"
    question = f"SELECT {columns} FROM session_results WHERE wave = '{wave}' AND NOT is_fixed"
    why = shell.remediate("query", question)
    assert why.returncode == 0
    assert len(why.stdout.splitlines()) > 1
    assert shell.remediate("run", sample, "--wave", wave, **seed).returncode == 0
    assert shell.remediate("run", sample, **seed).returncode == 0
    assert shell.query("SELECT count(*) FROM gate_results WHERE passed") == [(4,)]


def test_after_a_crash_the_same_command_goes_on_and_sends_nothing_twice(shell: Any, sample: str) -> None:
    slow = {"MOCK_TIME_SCALE": "5"}
    with shell.start("remediate", "run", sample, **slow) as process:
        wait_until(lambda: shell.sessions_at_devin() >= 3, seconds=60)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    status = shell.remediate("status")
    assert status.returncode == 0
    assert "which is gone" in status.stdout
    assert shell.remediate("run", sample).returncode == 0
    assert shell.query("SELECT count(*) FROM attempts WHERE session_id IS NOT NULL") == [(shell.sessions_at_devin(),)]
    assert shell.query("SELECT count(*) FROM extra_sessions") == [(0,)]


def test_a_ledger_that_somebody_has_opened_is_waited_for_and_named(shell: Any, sample: str) -> None:
    assert shell.remediate("plan", sample).returncode == 0
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(shell.data / "ledger.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forgotten:
        assert forgotten.stdout
        assert forgotten.stdin
        assert forgotten.stdout.readline() == "open\n"
        refused = shell.remediate("doctor", LEDGER_LOCK_TIMEOUT_SECONDS="0.5")
        assert refused.returncode == 1
        assert f"PID {forgotten.pid}" in refused.stdout
        assert "close it" in refused.stdout
        forgotten.stdin.close()
    assert shell.remediate("doctor").returncode == 0
    assert shell.remediate("run", sample).returncode == 0
