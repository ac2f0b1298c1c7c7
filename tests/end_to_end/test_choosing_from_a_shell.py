"""Choosing what is run first, the plan as it is shown, and the options that a file keeps, in commands of their own."""

import json
import subprocess
from typing import Any

import pytest

from tests.end_to_end.test_control_commands_from_a_shell import wait_for_sessions
from tests.support.scanner_documents import DOCUMENTS


def test_a_choice_is_run_to_its_end_and_stands_until_it_is_ended(shell: Any, sample: str) -> None:
    first = shell.remediate("run", sample, "--category", "sql_injection", "--category", "xss", "--wave-size", "2")
    assert first.returncode == 0, first.stderr
    assert "The chosen findings (category sql_injection or xss) end here: wave-0003" in first.stdout
    assert "Every wave has been run" not in first.stdout
    ran = "SELECT DISTINCT category FROM session_results WHERE outcome IS NOT NULL ORDER BY ALL"
    assert shell.query(ran) == [("sql_injection",), ("xss",)]
    sessions = shell.sessions_at_devin()

    again = shell.remediate("run", sample, "--wave-size", "2")
    assert (again.returncode, shell.sessions_at_devin()) == (0, sessions)
    assert "Chosen first: category sql_injection or xss, in 2 waves, of which 0 not started" in (
        shell.remediate("status").stdout
    )
    assert json.loads(shell.remediate("status", "--json").stdout)["choice"] == {
        "services": [],
        "categories": ["sql_injection", "xss"],
        "severities": [],
    }

    ended = shell.remediate("plan", sample, "--all", "--wave-size", "20")
    assert "Chosen first" not in ended.stdout
    finished = shell.remediate("run", sample, "--wave-size", "20")
    assert finished.returncode == 0, finished.stderr
    assert shell.query("SELECT count(*) FROM session_results WHERE outcome IS NOT NULL") == [(20,)]


def test_a_wave_of_others_is_run_if_it_is_named(shell: Any, sample: str) -> None:
    shell.remediate("plan", sample, "--severity", "low")
    named = shell.remediate("run", sample, "--wave", "2", "--ignore-gate")
    assert named.returncode == 0, named.stderr
    assert shell.query("SELECT DISTINCT severity FROM session_results WHERE outcome IS NOT NULL") == [
        ("critical",),
        ("high",),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--service", "payment-servise"],
            "No finding is of the service 'payment-servise'; choose one that has some, such as payment-service",
        ),
        (["--service", "user-service", "--category", "access_logging"], "No finding is of "),
    ],
)
def test_a_choice_of_nothing_is_one_sentence(shell: Any, sample: str, arguments: list[str], said: str) -> None:
    refused = shell.remediate("plan", sample, *arguments)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"Error: {said}")
    assert len(refused.stderr.splitlines()) == 1
    assert shell.query("SELECT (SELECT count(*) FROM waves), choice FROM state") == [(0, None)]


def test_the_plan_lists_what_is_next_before_anything_is_spent(shell: Any, sample: str) -> None:
    planned = shell.remediate("plan", sample)
    rows = [line.split() for line in planned.stdout.splitlines() if " FIND-" in line]
    assert len(rows) == 15
    assert rows[0] == [
        "wave-0001",
        "FIND-0003",
        "85",
        "critical",
        "sql",
        "injection",
        "payment-service",
        "sql_injection",
    ]
    assert "5 more findings follow" in planned.stdout
    waves = json.loads(shell.remediate("plan", sample, "--json").stdout)
    assert [len(wave["planned"]) for wave in waves] == [wave["findings"] for wave in waves] == [5, 5, 5, 5]
    assert waves[0]["planned"][0]["finding_id"] == "FIND-0003"
    assert waves[0]["verdict"] is None
    seen = shell.query("SELECT wave, position, finding_id, playbook FROM planned_findings ORDER BY ALL LIMIT 2")
    assert seen == [
        ("wave-0001", 1, "FIND-0003", "sql_injection"),
        ("wave-0001", 2, "FIND-0005", "hardcoded_secrets"),
    ]
    dry = shell.remediate("run", sample, "--dry-run")
    assert "Repositories: https://git.example.com/acme/catalog-service 7 findings, " in dry.stdout
    assert " FIND-0003 " in dry.stdout
    one = shell.remediate("waves", "2")
    assert "wave-0002 is refused and not started: wave-0001 has not been run to its end" in one.stdout
    assert len(json.loads(shell.remediate("waves", "2", "--json").stdout)["planned"]) == 5
    assert shell.sessions_at_devin() == 0
    ingested = shell.remediate("ingest", sample).stdout
    assert "By severity: critical 4, high 6, medium 6, low 4." in ingested
    assert "  85  FIND-0003  critical, payment-service: " in ingested


def test_a_file_keeps_its_options_and_a_script_has_to_name_them(shell: Any) -> None:
    (shell.home / "scan.sarif").write_text(json.dumps(DOCUMENTS["SARIF"]))
    (shell.home / "services.toml").write_text('[[service]]\nname = "payments"\npath = "src"\n')
    options = ["--services", "services.toml"]
    assert shell.remediate("plan", "scan.sarif", *options).returncode == 0
    asked = shell.remediate("plan", "scan.sarif")
    assert asked.returncode == 2
    assert f"remediate plan scan.sarif --services {shell.home / 'services.toml'}`" in asked.stderr
    assert shell.remediate("plan", "scan.sarif", *options).returncode == 0
    # On a terminal the options are taken over, and said where no JSON is disturbed.
    taken, code = shell.on_a_terminal("remediate", "plan", "scan.sarif", "--json", stdout=subprocess.PIPE)
    assert code == 0, taken
    [wave] = json.loads(taken)
    assert [row["service_name"] for row in wave["planned"]] == ["payments"]
    shown, _ = shell.on_a_terminal("remediate", "plan", "scan.sarif")
    assert f"Read with --services {shell.home / 'services.toml'}, as the last time." in shown
    # Given empty, an option is not taken over.
    without = shell.remediate("plan", "scan.sarif", "--services", "", "--repo-url", "https://git.example.com/a/b")
    assert without.returncode == 0, without.stderr
    assert shell.query("SELECT DISTINCT service_name FROM findings") == [("shop",)]


def test_files_that_were_read_with_different_options_are_not_read_with_one_of_them(shell: Any) -> None:
    folder = shell.home / "scans"
    folder.mkdir()
    (folder / "a.sarif").write_text(json.dumps(DOCUMENTS["SARIF"]))
    (folder / "b.sarif").write_text(json.dumps(DOCUMENTS["SARIF"]))
    for name in "ab":
        url = f"https://git.example.com/acme/{name}"
        assert shell.remediate("ingest", f"scans/{name}.sarif", "--repo-url", url, "--root", "/x").returncode == 0
    before = shell.query("SELECT DISTINCT repo_url FROM findings ORDER BY ALL")
    shown, code = shell.on_a_terminal("remediate", "ingest", "scans")
    assert code == 2
    assert "These files were last read with different options" in shown
    assert shell.query("SELECT DISTINCT repo_url FROM findings ORDER BY ALL") == before


def test_a_wave_that_was_stopped_comes_before_others_that_are_chosen(shell: Any, sample: str) -> None:
    with shell.start("remediate", "run", sample, MOCK_TIME_SCALE="0.01") as run:
        wait_for_sessions(shell, 5)
        shell.remediate("stop", MOCK_TIME_SCALE="0.01")
        run.communicate(timeout=60)
    shell.remediate("resume")
    shell.speed_up(200)
    refused = shell.remediate("run", sample, "--severity", "low")
    assert refused.returncode == 3
    assert refused.stderr.startswith("wave-0001 was not judged and comes first, but is not of the chosen findings")
    assert shell.sessions_at_devin() == 5


def test_a_stop_names_the_command_for_a_wave_that_was_judged_all_the_same(shell: Any, sample: str) -> None:
    # Four succeed, and the fifth has no slot until it is stopped.
    shell.env |= {"MAX_PARALLEL_SESSIONS": "4", "HOLD_WAIT_MINUTES": "0"}
    with shell.start("remediate", "run", sample, MOCK_TIME_SCALE="0.01") as run:
        wait_for_sessions(shell, 4)
        shell.remediate("pause", MOCK_TIME_SCALE="0.01")
        run.communicate(timeout=60)
    shell.speed_up(200)
    for _ in range(5):
        shell.remediate("run", sample)
        if shell.query("SELECT count(*) FROM attempts WHERE outcome IS NOT NULL") == [(4,)]:
            break
    stopped = shell.remediate("stop")
    verdict = shell.query("SELECT verdict, answerable FROM gate_results")
    assert verdict == [("passed", 4)]
    assert stopped.stdout.splitlines()[-1].endswith(
        f"remediate run {sample} --wave wave-0001` runs what was stopped of wave-0001 again."
    )


def test_reopening_takes_an_id(shell: Any, sample: str) -> None:
    shell.remediate("run", sample, "--wave", "1")
    reopened = shell.remediate("reopen", "FIND-0003", "--reason", "It drops the check.")
    assert reopened.returncode == 0, reopened.stderr
    assert f"remediate run {sample} --wave wave-0001` tries it again." in reopened.stdout
    unknown = shell.remediate("reopen", "FIND-9999")
    assert (unknown.returncode, "No planned finding has the id or key 'FIND-9999'" in unknown.stderr) == (2, True)


def test_a_question_before_a_reset_can_be_declined(shell: Any, sample: str) -> None:
    shell.remediate("plan", sample)
    shown, code = shell.on_a_terminal("remediate", "reset", answer="n\n")
    assert code == 1
    assert "with 20 planned findings and all results?" in shown
    assert "Nothing was deleted." in shown
    assert (shell.data / "ledger.duckdb").exists()
    assert shell.on_a_terminal("remediate", "reset", answer="y\n")[1] == 0
    assert not (shell.data / "ledger.duckdb").exists()
