"""`dagster job execute` as CI runs it: exit codes, and what happens before money is spent."""

from typing import Any

# Seeds whose outcome for the first five findings of the sample is known.
ALL_SUCCEED = "100"
ONE_FAILS_FIRST = "1045"

CANARY = "cog_canary_5a17"


def test_a_planned_wave_runs_to_exit_code_0(shell: Any) -> None:
    assert shell.job("plan_waves").returncode == 0
    assert shell.job("remediate_wave", "wave-0001", MOCK_SEED=ALL_SUCCEED).returncode == 0
    assert shell.sessions_at_devin() == 5


def test_a_wave_that_misses_its_gate_ends_in_exit_code_1(shell: Any) -> None:
    shell.job("plan_waves")
    finished = shell.job("remediate_wave", "wave-0001", MOCK_SEED=ONE_FAILS_FIRST, MIN_SUCCESS_RATE="1.0")
    assert finished.returncode == 1
    # One of five failed, and at a threshold of 100 % nothing is retried.
    assert shell.sessions_at_devin() == 5


def test_an_unknown_partition_is_an_error_before_any_session(shell: Any) -> None:
    shell.job("plan_waves")
    finished = shell.job("remediate_wave", "wave-0042")
    assert finished.returncode == 1
    assert "wave-0042 is not a wave of the plan" in finished.stderr
    assert shell.sessions_at_devin() == 0


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
