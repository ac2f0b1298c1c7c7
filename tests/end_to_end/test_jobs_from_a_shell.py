"""`dagster job execute` as CI runs it: exit codes, and what happens before money is spent."""

import subprocess
from typing import Any

# Seeds whose outcome for the first five findings of the sample is known.
ALL_SUCCEED = "100"
ONE_FAILS_FIRST = "1045"

CANARY = "cog_canary_5a17"


def last_line(finished: subprocess.CompletedProcess[str]) -> str:
    return finished.stderr.rstrip("\n").splitlines()[-1]


def test_a_planned_wave_runs_to_exit_code_0(shell: Any) -> None:
    for finished in (shell.job("plan_waves"), shell.job("remediate_wave", "wave-0001", MOCK_SEED=ALL_SUCCEED)):
        assert finished.returncode == 0
        # Nothing is added to the log of Dagster.
        assert " - dagster - DEBUG - " in last_line(finished)
    assert shell.sessions_at_devin() == 5


def test_a_wave_that_misses_its_gate_ends_in_exit_code_1(shell: Any) -> None:
    shell.job("plan_waves")
    finished = shell.job("remediate_wave", "wave-0001", MOCK_SEED=ONE_FAILS_FIRST, MIN_SUCCESS_RATE="1.0")
    assert finished.returncode == 1
    # One of five failed, and at a threshold of 100 % nothing is retried.
    assert shell.sessions_at_devin() == 5
    # What CI shows first, and not far above Dagster's own last line.
    reason = "4 of 5 succeeded, 80%, needed 100%"
    assert last_line(finished) == (
        f"wave-0001 failed: {reason}. Look at the failures, then run wave-0001 again (job remediate_wave)."
    )
    refused = shell.job("remediate_wave", "wave-0002")
    assert refused.returncode == 1
    assert last_line(refused) == (
        f"wave-0002 is refused and not started: wave-0001 has not passed its gate ({reason}); look at its failures, "
        "then run wave-0001 again, or overrule the gate with the run config `ignore_gate: true` of devin_sessions."
    )


def test_an_unknown_partition_is_an_error_before_any_session(shell: Any) -> None:
    shell.job("plan_waves")
    finished = shell.job("remediate_wave", "wave-0042")
    assert finished.returncode == 1
    assert last_line(finished).startswith("wave-0042 is not a wave of the plan")
    assert shell.sessions_at_devin() == 0


def test_a_materialization_from_a_shell_ends_with_its_reason_too(shell: Any) -> None:
    shell.job("plan_waves")
    finished = shell.run(
        *["dagster", "asset", "materialize", "-m", "remediation_assets.definitions"],
        *["--select", "session_results", "--partition", "wave-0001"],
    )
    assert finished.returncode == 1
    assert last_line(finished).startswith("wave-0001 has never been dispatched")


def test_the_command_line_prints_a_reason_once(shell: Any, sample: str) -> None:
    finished = shell.remediate("run", sample, "--wave", "wave-0002")
    assert finished.returncode != 0
    assert (finished.stdout + finished.stderr).count("is refused and not started") == 1


def test_a_job_without_a_dagster_home_says_what_is_lost(shell: Any) -> None:
    del shell.env["DAGSTER_HOME"]
    finished = shell.job("plan_waves", REMEDIATION_DATA_DIR=str(shell.data))
    assert finished.returncode == 0
    assert "DAGSTER_HOME is not set" in finished.stderr


def test_the_key_is_written_nowhere(shell: Any) -> None:
    shell.env["DEVIN_API_KEY"] = CANARY
    shell.job("plan_waves")
    shell.job("remediate_wave", "wave-0001", MOCK_SEED=ALL_SUCCEED)
    assert shell.sessions_at_devin() == 5
    files = [path for path in shell.home.rglob("*") if path.is_file()]
    assert any(path.suffix == ".duckdb" for path in files)
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
