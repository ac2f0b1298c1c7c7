"""The help of every command."""

import pytest
from click.testing import CliRunner

from remediation_assets.cli import main

COMMANDS = (
    *("ingest", "columns", "plan", "run", "status", "query", "doctor"),
    *("pause", "resume", "stop", "reopen", "dashboard", "simulator", "reset"),
)


def test_the_commands_keep_their_names() -> None:
    assert set(main.commands) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_of_itself(name: str) -> None:
    done = CliRunner().invoke(main, [name, "--help"])
    assert done.exit_code == 0
    example = done.output.partition("Example:\n")[2]
    assert f"remediate {name}" in example
    assert done.output.splitlines()[2].strip()
