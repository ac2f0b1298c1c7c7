"""`remediate query` answers SQL on the published results and does nothing else."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from remediation_assets.cli import main
from remediation_assets.connect import open_ledger
from remediation_assets.escape import for_csv
from remediation_assets.settings import load_settings
from tests.support import synthetic_ledger


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMEDIATION_DATA_DIR", str(tmp_path / "data"))
    settings = load_settings()
    synthetic_ledger.fill(open_ledger(settings), settings, tmp_path, findings=20, sessions=8)


def ask(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["query", *arguments])
    return done.exit_code, done.output


COUNT = "SELECT severity, count(*) AS n FROM normalized_findings GROUP BY ALL ORDER BY ALL"


@pytest.mark.usefixtures("filled")
def test_an_answer_is_lines_json_or_csv() -> None:
    assert ask(COUNT) == (0, "severity\tn\ncritical\t5\nhigh\t5\nlow\t5\nmedium\t5\n")
    assert next(json.loads(line) for line in ask(COUNT, "--json")[1].splitlines()) == {"severity": "critical", "n": 5}
    assert ask(COUNT, "--csv")[1].splitlines()[:2] == ["severity,n", "critical,5"]
    assert ask(COUNT, "--csv", "--json")[0] == 2


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "The query is empty"),
        ("/* nothing */", "The query is empty"),
        ("COPY (SELECT 1) TO 'leak.csv'", "disabled"),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled"),
        ("selec", "The query failed: Parser Error"),
        ("SELECT * FROM nothing", "Catalog Error"),
        ("DELETE FROM attempts", "read-only mode"),
        ("SELECT 1/0 + CAST('x' AS INTEGER)", "Conversion Error"),
    ],
)
def test_a_question_that_cannot_be_answered_is_an_error_of_one_line(sql: str, message: str) -> None:
    code, output = ask(sql)
    assert code == 1
    assert message in output
    assert len(output.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1 (555)", "'+1 (555)"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        (-5, "-5"),
        ("-5.25e3", "-5.25e3"),
        (None, ""),
        ("a=b", "a=b"),
    ],
)
def test_no_cell_of_our_csv_is_a_formula(value: object, cell: str) -> None:
    assert for_csv(value) == cell


@pytest.mark.usefixtures("filled")
def test_escape_sequences_for_a_terminal_are_removed() -> None:
    assert "\x1b" not in ask("SELECT chr(27) || '[31mred' AS x")[1]
