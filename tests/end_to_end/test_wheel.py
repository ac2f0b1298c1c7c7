"""An installed wheel, outside any checkout: playbooks, sample, pages and Dagster's settings come along."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.end_to_end.dagster_dev import served_ui
from tests.support.processes import CHECKOUT

FAST = {"MOCK_TIME_SCALE": "200", "POLL_INTERVAL_SECONDS": "0.1", "BLOCKED_CONFIRM_SECONDS": "0", "WAVE_SIZE": "5"}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return the programs of an environment with the wheel and the dependencies of this one."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*build, str(CHECKOUT)], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}))
    [wheel] = tmp_path.glob("*.whl")
    target = [sys.executable, "-m", "pip", "--python", str(tmp_path / "env" / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*target, "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    # The dependencies of this environment, but not the checkout that is installed in it for editing.
    (own / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    # Their program, too, which pip would have put there with them.
    python, dagster = tmp_path / "env" / "bin" / "python", tmp_path / "env" / "bin" / "dagster"
    dagster.write_text(f"#!{python}\nimport sys\nfrom dagster._cli import main\nsys.exit(main())\n")
    dagster.chmod(0o755)
    return tmp_path / "env" / "bin"


def test_a_wheel_runs_the_sample_and_serves_its_pages(installed: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"PATH": f"{installed}:{os.environ['PATH']}", "HOME": str(home), **FAST}

    def remediate(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(installed / "remediate"), *arguments]
        return subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False, timeout=180)

    where = subprocess.run(
        [str(installed / "python"), "-c", "import remediation_assets as r; print(r.__file__)"],
        cwd=home, env=env, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(tmp_path / "env") in where
    package = Path(where.strip()).parent
    doctor = remediate("doctor")
    assert doctor.returncode == 0, doctor.stdout
    assert f"{home}/.remediation does not exist yet; the first run makes it" in doctor.stdout
    done = remediate("run", str(package / "sample_data" / "findings.csv"))
    assert done.returncode == 0, done.stderr
    assert "20 findings fixed" in done.stdout or "findings fixed" in done.stdout
    assert (home / ".remediation" / "dagster.yaml").read_text() == (
        CHECKOUT / "dagster_home" / "dagster.yaml"
    ).read_text()
    assert (package / "dashboard" / "templates" / "base.html").exists()
    assert (package / "dashboard" / "static" / "live.js").exists()
    assert (package / "py.typed").exists()
    # The run has needed the tables and views; migrations are missed only by an older ledger.
    assert (package / "ledger" / "schema" / "migrations" / "0001_to_0002.sql").exists()
    assert remediate("query", "SELECT count(*) AS n FROM session_results").stdout.startswith("n\n")


def test_the_hint_of_a_wheel_serves_a_ui_that_shows_the_run(installed: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    work = tmp_path / "elsewhere"
    for folder in (home, work):
        folder.mkdir()
    # Nothing of the environment is on the PATH, and DAGSTER_HOME is not set.
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), **FAST}
    sample = installed.parent / "findings.csv"
    sample.write_text((CHECKOUT / "sample_data" / "findings.csv").read_text())
    done = subprocess.run(
        [str(installed / "remediate"), "run", str(sample), "--wave", "1"],
        cwd=work, env=env, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    hint = re.search(r"^Runs, waves and gates in the Dagster UI: (.*), then http", done.stdout, re.MULTILINE)
    assert hint
    assert hint[1].startswith(f"DAGSTER_HOME={home}/.remediation ")
    with served_ui(hint[1], work, env) as ui:
        runs = ui.graphql("{ runsOrError { ... on Runs { results { jobName status } } } }")["runsOrError"]["results"]
    assert [(run["jobName"], run["status"]) for run in runs] == [
        ("remediate_wave", "SUCCESS"),
        ("plan_waves", "SUCCESS"),
    ]
