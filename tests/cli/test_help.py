"""The help of every command."""

import pytest
from click.testing import CliRunner

from remediation_assets.cli import main
from remediation_assets.planning.waves import wave_of_name

COMMANDS = (
    *("ingest", "columns", "plan", "waves", "doctor", "run", "status", "query", "dashboard"),
    *("pause", "resume", "stop", "reopen", "simulator", "reset"),
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


def test_the_commands_are_listed_in_the_order_of_the_work_with_their_whole_summaries() -> None:
    shown = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    words = " ".join(shown.split())
    assert "..." not in shown.partition("Read and plan:")[2]
    places = [shown.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)
    for command in main.commands.values():
        assert " ".join((command.help or "").partition(".")[0].split()) in words


@pytest.mark.parametrize(("named", "wave"), [("1", "wave-0001"), ("wave-2", "wave-0002"), ("wave-0012", "wave-0012")])
def test_a_wave_is_named_by_its_number_or_its_name(named: str, wave: str) -> None:
    assert wave_of_name(named) == wave


@pytest.mark.parametrize("named", ["", "0", "wave", "wave-0", "-1", "1.5", "wave-0001x", "٣", "1" * 12])
def test_what_names_no_wave_is_refused(named: str) -> None:
    assert wave_of_name(named) is None
    assert CliRunner().invoke(main, ["waves", "--", named]).exit_code == 2
