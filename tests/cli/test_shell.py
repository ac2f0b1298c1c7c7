"""Commands in messages can be typed as they stand, in the shell that shows them."""

import os
import sys
from pathlib import Path

import pytest

from remediation_assets.cli import shell
from remediation_assets.settings import CHECKOUT, DEFAULT_HOME, Settings


@pytest.fixture
def default() -> Settings:
    return Settings(_env_file=None)


@pytest.fixture
def bin_on_path(monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin")
    return folder


@pytest.mark.usefixtures("bin_on_path")
def test_with_the_default_home_and_a_path_that_has_us_a_command_stays_as_it_is(default: Settings) -> None:
    text = "Nothing is planned; `remediate plan FILE` plans a file."
    assert shell.completed(text, default) == text
    assert shell.activation() is None


@pytest.mark.usefixtures("bin_on_path")
def test_another_home_and_data_folder_are_said_with_each_command(tmp_path: Path) -> None:
    home = tmp_path / "a home"
    settings = Settings(_env_file=None, dagster_home=str(home), remediation_data_dir="/srv/data")
    assert shell.completed("`remediate resume`, then `remediate run FILE`.", settings, "my scan.csv") == (
        f"`DAGSTER_HOME='{home}' REMEDIATION_DATA_DIR=/srv/data remediate resume`, "
        f"then `DAGSTER_HOME='{home}' REMEDIATION_DATA_DIR=/srv/data remediate run 'my scan.csv'`."
    )


def test_without_us_on_the_path_the_programs_path_is_said(default: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    folder = Path(sys.executable).parent
    assert shell.remediate("status", default) == f"{folder / 'remediate'} status"
    monkeypatch.chdir(folder.parent.parent)
    assert shell.remediate("status", default) == ".venv/bin/remediate status"
    assert shell.activation() == "source .venv/bin/activate"


def test_a_program_of_our_name_that_is_not_ours_is_not_named(
    default: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "remediate"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shell.program("remediate") == str(Path(sys.executable).with_name("remediate"))
    assert shell.remediate("status", default) != "remediate status"


@pytest.mark.usefixtures("bin_on_path")
def test_the_ui_shows_the_runs_of_the_home_from_a_checkout_and_from_a_wheel(
    default: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = default.model_copy(update={"dagster_home": str(tmp_path)})
    assert shell.dagster_ui(other) == f"DAGSTER_HOME={tmp_path} make -C {CHECKOUT} dev"
    monkeypatch.chdir(CHECKOUT)
    assert shell.dagster_ui(default) == "make dev"
    # A wheel has no Makefile, and Dagster no default home.
    monkeypatch.setattr(shell, "CHECKOUT", tmp_path)
    assert shell.dagster_ui(default) == f"DAGSTER_HOME={DEFAULT_HOME} dagster dev -m remediation_assets.definitions"
    assert shell.dagster_ui(other) == f"DAGSTER_HOME={tmp_path} dagster dev -m remediation_assets.definitions"


@pytest.mark.usefixtures("bin_on_path")
def test_a_file_whose_name_is_a_pattern_of_another_language_is_only_a_name(default: Settings) -> None:
    assert shell.completed("`remediate run FILE`", default, r"\1 $HOME.csv") == r"`remediate run '\1 $HOME.csv'`"
