"""The `remediate` command, as a person runs it."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from tests.support.scanner_documents import DOCUMENTS

ONE_STAYS_FAILED = "1045"
GATE_FAILS_THEN_MENDS = "1003"


def test_the_sample_runs_to_the_end_and_a_second_run_starts_nothing(shell: Any, sample: str) -> None:
    first = shell.remediate("run", sample)
    assert first.returncode == 0, first.stderr
    assert "wave-0004 round 1 settled, gate passed" in first.stdout
    assert "to be tried again" in first.stdout
    assert str(shell.data / "remediation.duckdb") in first.stdout
    assert f"Results: DAGSTER_HOME={shell.home} " in first.stdout
    sessions = shell.sessions_at_devin()
    with duckdb.connect(str(shell.data / "remediation.duckdb"), read_only=True) as results:
        assert results.execute("SELECT count(*) FROM session_results").fetchone() == (20,)
        scores = results.execute("SELECT priority_score FROM session_results ORDER BY wave, position").fetchall()
        assert results.execute("SELECT count(*) FROM attempts").fetchone() == (sessions,)
    assert scores == sorted(scores, reverse=True)

    second = shell.remediate("run", sample)
    assert second.returncode == 0
    assert "wave-0001 has passed its gate" in second.stdout
    assert "no session is started" in second.stdout
    assert shell.sessions_at_devin() == sessions


def test_a_second_run_leaves_a_finding_that_stayed_failed_alone(shell: Any, sample: str) -> None:
    shell.env["MOCK_SEED"] = ONE_STAYS_FAILED
    shell.remediate("run", sample)
    sessions = shell.sessions_at_devin()
    again = shell.remediate("run", sample)
    assert f"remediate run {sample} --wave wave-0001` tries again" in again.stdout
    assert shell.sessions_at_devin() == sessions


def test_a_failed_gate_pauses_and_running_the_wave_again_mends_it(shell: Any, sample: str) -> None:
    shell.env["MOCK_SEED"] = GATE_FAILS_THEN_MENDS
    first = shell.remediate("run", sample)
    assert first.returncode == 3
    # The last line says which wave, why, and the command.
    last = first.stderr.splitlines()[-1]
    assert last.startswith("wave-0001 failed its gate (3 of 5 succeeded, 60%, needed 70%); ")
    assert f"remediate run {sample} --wave wave-0001` tries again what did not succeed." in last
    assert shell.sessions_at_devin() == 5
    assert shell.remediate("run", sample).returncode == 3
    refused = shell.remediate("run", sample, "--wave", "wave-0002")
    assert refused.returncode == 3
    assert refused.stderr.startswith("wave-0002 is refused and not started: wave-0001 has not passed its gate")
    assert "ignore_gate" not in refused.stderr
    assert f"remediate run {sample} --wave wave-0001` runs wave-0001 again." in refused.stderr
    assert shell.sessions_at_devin() == 5
    mended = shell.remediate("run", sample, "--wave", "wave-0001")
    assert mended.returncode == 0, mended.stderr
    assert "wave-0001 round 2 settled, gate passed" in mended.stdout
    assert shell.sessions_at_devin() == 7


def test_a_run_that_is_interrupted_goes_on_without_new_sessions(shell: Any, sample: str) -> None:
    slow = {"MOCK_TIME_SCALE": "10", "WAVE_SIZE": "10"}
    process = shell.start("remediate", "run", sample, "--wave", "wave-0001", **slow)
    deadline = time.monotonic() + 60
    while shell.sessions_at_devin() < 10 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.startswith("Stopped waiting. Sessions that were started continue at Devin")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    finished = shell.remediate("run", sample, "--wave", "wave-0001", **slow)
    assert finished.returncode == 0, finished.stderr
    with duckdb.connect(str(shell.data / "remediation.duckdb"), read_only=True) as results:
        assert results.execute("SELECT count(*), max(round) FROM rounds").fetchone() == (1, 1)
        assert results.execute("SELECT count(*) FROM attempts").fetchone() == (shell.sessions_at_devin(),)


def test_a_wave_that_overruled_the_gate_goes_on_without_overruling_again(shell: Any, sample: str) -> None:
    shell.job("plan_waves")
    (shell.home / "run.yaml").write_text("ops: {devin_sessions: {config: {ignore_gate: true}}}")
    dispatched = shell.run(
        "dagster", "job", "execute", "-m", "remediation_assets.definitions", "-j", "dispatch_wave",
        "--tags", '{"dagster/partition": "wave-0002"}',
        "--config", "run.yaml",
    )  # fmt: skip
    assert dispatched.returncode == 0, dispatched.stderr
    finished = shell.remediate("run", sample, "--wave", "wave-0002")
    assert "wave-0002 round 1 settled" in finished.stdout, finished.stdout
    assert shell.sessions_at_devin() >= 5


def test_a_dry_run_shows_the_waves_and_starts_nothing(shell: Any, sample: str) -> None:
    finished = shell.remediate("run", sample, "--dry-run", "--wave-size", "10")
    assert finished.returncode == 0
    assert "wave-0002 would be started" in finished.stdout
    assert shell.sessions_at_devin() == 0


def test_ingest_tells_what_was_set_aside(shell: Any) -> None:
    header = "finding_id,scanner,category,severity,title,description,service_name,repo_url,file_path\n"
    row = "F{n},s,xss,{severity},t{n},d,shop,https://git.example.com/a/b,src/a{n}.py\n"
    rows = [row.format(n=n, severity=s) for n, s in enumerate(["high", "awful", "low"], start=1)]
    (shell.home / "mine.csv").write_text(header + "".join(rows))
    finished = shell.remediate("ingest", "mine.csv")
    assert finished.returncode == 0
    assert ": 3 rows read: 2 accepted, 1 rejected." in finished.stdout
    assert "  unknown severity: 1, line 3 (F2)" in finished.stdout
    assert "2 findings are new, 0 unchanged, 0 closed." in finished.stdout


def test_a_scanners_own_file_is_run_to_the_end(shell: Any) -> None:
    (shell.home / "scan").write_text(json.dumps(DOCUMENTS["SARIF"]))
    (shell.home / "services.toml").write_text('[[service]]\nname = "payments"\npath = "src"\n')
    finished = shell.remediate("ingest", "scan", "--services", "services.toml")
    assert finished.returncode == 0, finished.stderr
    assert "scan: 2 rows read: 1 accepted, 1 rejected. SARIF.\n" in finished.stdout
    assert "  missing required field file_path: 1 (" in finished.stdout
    assert "  skipped, suppressed: 1\n" in finished.stdout
    finished = shell.remediate("run", "scan", "--services", "services.toml", MOCK_SEED="100")
    assert finished.returncode == 0, finished.stderr
    shown = "SELECT service_name, category, file_path, status FROM session_results"
    assert shell.query(shown) == [("payments", "sql_injection", "src/a.py", "success")]
    # What is read again without a word about it is read as it was the last time.
    assert shell.query("SELECT source LIKE '%/scan', format, skipped FROM scans") == [
        (True, "SARIF", '{"suppressed": 1}'),
    ]


def test_columns_of_any_csv_are_proposed_saved_and_used(shell: Any) -> None:
    (shell.home / "house.csv").write_text("Issue,Risk,File,Line\nSomething,High,a.py,3\n")
    assert "remediate columns FILE" in shell.remediate("ingest", "house.csv").stderr
    assert 'title = "Issue"' in shell.remediate("columns", "house.csv").stdout
    finished = shell.remediate("columns", "house.csv", "--save", "house.toml")
    assert "remediate ingest house.csv --columns house.toml" in finished.stdout
    assert "cannot be written" in shell.remediate("columns", "house.csv", "--save", "house.toml").stderr
    arguments = ("house.csv", "--columns", "house.toml")
    assert "does not name the repository" in shell.remediate("ingest", *arguments).stderr
    finished = shell.remediate("ingest", *arguments, "--repo-url", "https://github.com/acme/shop")
    assert "house.csv: 1 row read: 1 accepted, 0 rejected. mapped CSV." in finished.stdout


def test_status_and_reset_tell_what_there_is(shell: Any, sample: str) -> None:
    shell.remediate("plan", sample)
    status = shell.remediate("status")
    assert "wave-0004" in status.stdout
    assert "0 live sessions" in status.stdout
    # Without a terminal nobody can be asked.
    refused = shell.remediate("reset")
    assert (refused.returncode, "remediate reset --yes` does so" in refused.stderr) == (2, True)
    assert shell.remediate("reset", "--yes").returncode == 0
    assert not (shell.data / "ledger.duckdb").exists()
    assert "remediate run FILE` first" in shell.remediate("status").stderr


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["plan", "empty.csv"], {}, "is empty; expected a CSV file"),
        (["ingest", "wrong.csv"], {}, "has no column finding_id"),
        (["status"], {"WAVE_SIZE": "many"}, "WAVE_SIZE='many' cannot be used"),
        (["status"], {"MOCK_MODE": "cog_canary"}, "MOCK_MODE cannot be used"),
        (["status"], {"POLL_INTERVAL_SECONDS": "inf"}, "POLL_INTERVAL_SECONDS='inf' cannot be used"),
        (["status"], {"DEVIN_API_BASE_URL": "http://u:p@host/v1"}, "expected an http or https URL without user"),
        (["status"], {"REMEDIATION_DATA_DIR": "relative"}, "expected an absolute path"),
        (["plan", "SAMPLE"], {"DAGSTER_HOME": "BROKEN"}, "correct its dagster.yaml"),
        (["run", "SAMPLE"], {"MOCK_MODE": "false"}, "MOCK_MODE is off and DEVIN_API_KEY is empty"),
        (["run", "SAMPLE"], {"DAGSTER_HOME": "here"}, "DAGSTER_HOME=here is not absolute"),
        (["run", "SAMPLE"], {"REMEDIATION_DATA_DIR": "/proc/nowhere"}, "cannot be used for the ledger"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_1(
    shell: Any, sample: str, traceback_free: Callable[..., None], arguments: list[str], env: dict[str, str], said: str
) -> None:
    (shell.home / "empty.csv").touch()
    (shell.home / "wrong.csv").write_text("a,b\n1,2\n")
    broken = shell.home / "broken"
    broken.mkdir()
    (broken / "dagster.yaml").write_text("nonsense: [")
    env = {name: str(broken) if value == "BROKEN" else value for name, value in env.items()}
    finished = shell.remediate(*[sample if word == "SAMPLE" else word for word in arguments], **env)
    assert finished.returncode == 1
    assert said in finished.stderr
    assert finished.stderr.startswith("Error: ")
    traceback_free(finished)


def test_an_env_file_that_is_not_utf_8_is_told_of(shell: Any, traceback_free: Callable[..., None]) -> None:
    (shell.home / ".env").write_bytes(b"FINDINGS_PATH=caf\xe9.csv\n")
    finished = shell.remediate("status")
    assert finished.returncode == 1
    assert ".env cannot be read" in finished.stderr
    traceback_free(finished)


def test_two_runs_at_once_start_each_session_once(shell: Any, sample: str) -> None:
    shutil.rmtree(shell.home / "history", ignore_errors=True)
    runs = [shell.start("remediate", "run", sample, MOCK_TIME_SCALE="60") for _ in range(2)]
    ended = [(*run.communicate(timeout=120), run.returncode) for run in runs]
    assert [code for _, _, code in ended] == [0, 0], ended
    with duckdb.connect(str(shell.data / "remediation.duckdb"), read_only=True) as results:
        assert results.execute("SELECT count(*), max(round) FROM rounds").fetchone() == (4, 1)
        assert results.execute("SELECT count(*) FROM attempts").fetchone() == (shell.sessions_at_devin(),)


def test_planning_anew_during_a_run_takes_nothing_from_it(shell: Any, sample: str) -> None:
    run = shell.start("remediate", "run", sample, MOCK_TIME_SCALE="20")
    deadline = time.monotonic() + 60
    while shell.sessions_at_devin() < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert shell.remediate("plan", sample, "--wave-size", "8").returncode == 0
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert "wave-0003 round 1 settled, gate passed" in out
    with duckdb.connect(str(shell.data / "remediation.duckdb"), read_only=True) as results:
        sizes = results.execute("SELECT count(*) FROM session_results GROUP BY wave ORDER BY wave").fetchall()
        assert results.execute("SELECT count(*) FROM attempts").fetchone() == (shell.sessions_at_devin(),)
    assert sizes == [(5,), (8,), (7,)]


def test_reset_forgets_the_simulators_world_with_or_without_a_ledger(shell: Any, sample: str) -> None:
    shell.remediate("run", sample, "--dry-run")
    shell.data.joinpath("simulator.sqlite").touch()
    shell.data.joinpath("ledger.duckdb").unlink()
    assert shell.remediate("reset").returncode == 0
    assert list(shell.data.glob("simulator.sqlite*")) == []


def test_wrong_usage_ends_in_exit_code_2(shell: Any) -> None:
    assert shell.remediate("run").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.csv"], "nowhere.csv does not exist; give the path of a findings file"),
        (["ingest", "SAMPLE", "nowhere.csv"], "nowhere.csv does not exist"),
        (["plan", "SAMPLE", "--services", "nowhere.toml"], "--services nowhere.toml does not exist"),
        (["columns", "nowhere.csv"], "nowhere.csv does not exist"),
        (["plan", "~nobody-here/f.csv"], "does not exist; give the path"),
        (["plan", "f" * 300], "cannot be read"),
        (["plan", "."], "has no findings file in it"),
        (["plan", "SAMPLE", "--all", "--severity", "high"], "--all ends a choice"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_is_launched(
    shell: Any, sample: str, traceback_free: Callable[..., None], arguments: list[str], said: str
) -> None:
    finished = shell.remediate(*[sample if word == "SAMPLE" else word for word in arguments])
    assert (finished.returncode, said in finished.stderr) == (2, True), finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert not shell.data.exists()
    traceback_free(finished)


def test_a_wave_that_does_not_exist_is_refused_without_a_failed_run(shell: Any, sample: str) -> None:
    # Nothing is planned yet, so that it shows after planning; then the ledger knows.
    for _ in range(2):
        finished = shell.remediate("run", sample, "--wave", "9999")
        assert finished.returncode == 2
        assert finished.stderr == (
            "Error: wave-9999 is not a wave of the plan (there are 4 waves, wave-0001 to wave-0004); "
            "name one of its waves.\n"
        )
    assert shell.dagster_runs() == [("plan_waves", "SUCCESS")]
    # Past a gate, too.
    assert shell.remediate("run", sample, "--wave", "9999", "--ignore-gate").returncode == 2
    assert shell.sessions_at_devin() == 0


def test_plan_show_prints_what_would_be_sent_and_starts_nothing(shell: Any, sample: str) -> None:
    told = shell.remediate("plan", sample, "--show", "FIND-0001")
    assert told.returncode == 0, told.stderr
    assert '"title": "Remediate FIND-0001 (attempt 1)"' in told.stdout
    assert "CVE-2022-42003: resource exhaustion in jackson-databind" in told.stdout
    assert "# Upgrade a vulnerable dependency" in told.stdout
    assert shell.sessions_at_devin() == 0
    unknown = shell.remediate("plan", sample, "--show", "FIND-9")
    assert (unknown.returncode, "No planned finding has the id or key 'FIND-9'" in unknown.stderr) == (2, True)
