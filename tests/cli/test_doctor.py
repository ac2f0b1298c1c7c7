"""`remediate doctor` checks everything that a run needs and changes nothing."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from remediation_assets.cli import main
from tests.support.processes import CHECKOUT, simulator


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text((CHECKOUT / "dagster_home" / "dagster.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(home))


def doctor(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["doctor", *arguments])
    return done.exit_code, done.output


def test_every_check_passes_before_anything_was_done(tmp_path: Path) -> None:
    code, output = doctor()
    assert code == 0
    assert "WARN" not in output
    assert "does not exist yet; the first plan makes it" in output
    assert not (tmp_path / "home" / "data").exists()
    assert {check["name"] for check in json.loads(doctor("--json")[1])} == {
        *("settings", "Dagster home", "disk", "ledger", "playbooks", "findings")
    }


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("WAVE_SIZE", "many", "WARN  settings: WAVE_SIZE='many' cannot be used"),
        ("DAGSTER_HOME", "relative", "WARN  Dagster home: relative is not absolute; set DAGSTER_HOME to /"),
        ("FINDINGS_PATH", "nowhere.csv", "nowhere.csv does not exist; correct FINDINGS_PATH"),
        ("MOCK_MODE", "false", "WARN  settings: MOCK_MODE is off and DEVIN_API_KEY is empty"),
    ],
)
def test_a_failed_check_says_what_to_do(monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str) -> None:
    monkeypatch.setenv(name, value)
    code, output = doctor()
    assert code == 1
    assert line in output


def test_a_home_without_its_settings_is_reported(tmp_path: Path) -> None:
    (tmp_path / "home" / "dagster.yaml").unlink()
    assert doctor()[0] == 0  # the first run brings it
    (tmp_path / "home" / "storage").mkdir()
    assert "has no dagster.yaml; copy /" in doctor()[1]


def test_a_home_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", "~/home")
    assert f"ok    Dagster home: {tmp_path}/home." in doctor()[1]
    (tmp_path / "file").touch()
    monkeypatch.setenv("DAGSTER_HOME", "~/file")
    assert "is not a folder; set DAGSTER_HOME to one" in doctor()[1]


def test_an_api_out_of_reach_is_not_called_a_bad_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_MODE", "false")
    monkeypatch.setenv("DEVIN_API_KEY", "cog_x")
    monkeypatch.setenv("DEVIN_API_BASE_URL", "http://127.0.0.1:1")
    assert "check the network and DEVIN_API_BASE_URL" in doctor()[1]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["cog_good", "apk_good", "wrong"])
def test_live_the_key_is_tried_without_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    with simulator(tmp_path / "devin") as devin:
        monkeypatch.setenv("MOCK_MODE", "false")
        monkeypatch.setenv("DEVIN_API_KEY", key)
        monkeypatch.setenv("DEVIN_API_BASE_URL", devin.origin)
        code, output = doctor()
    if key == "wrong":
        assert code == 1
        assert "check DEVIN_API_KEY" in output
    else:
        assert code == 0, output
        assert "ok    key: it is good" in output
        assert "ok    sessions: they can be listed; 0 are of this ledger." in output
    assert "cog_good" not in output
