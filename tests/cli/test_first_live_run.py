"""The first session of a live ledger is started only if somebody has asked for it."""

import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from remediation_assets.cli.first_live_run import Start, how_to_start
from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.settings import Settings


@pytest.fixture
def live(settings: Settings) -> Settings:
    return settings.model_copy(update={"mock_mode": False, "devin_api_key": SecretStr("cog_x"), "max_retries": 2})


def test_nobody_is_asked_in_mock_mode(ledger: Ledger, settings: Settings) -> None:
    assert how_to_start(ledger, settings.model_copy(update={"mock_mode": True}), 10) is Start.ALL


def test_nothing_is_started_if_nobody_can_be_asked(ledger: Ledger, live: Settings) -> None:
    with pytest.raises(
        RemediationError,
        match=r"costs 15 ACUs .* at most, add --wave-size 1 .* 150 ACUs at most, add --wave wave-0001 --yes",
    ):
        how_to_start(ledger, live, 10)


@pytest.mark.parametrize(("answers", "start"), [("\n", Start.FINDING), ("y\n", Start.FINDING), ("n\ny\n", Start.WAVE)])
def test_a_person_is_asked(ledger: Ledger, live: Settings, answers: str, start: Start) -> None:
    with (
        CliRunner().isolation(input=answers) as (out, *_),
        patch.object(sys.stdin, "isatty", lambda: True),
    ):
        assert how_to_start(ledger, live, 10) is start
    assert b"costs 15 ACUs (3 attempts of 5) at most?" in out.getvalue()


def test_nothing_is_started_if_both_offers_are_declined(ledger: Ledger, live: Settings) -> None:
    with (
        CliRunner().isolation(input="n\nn\n"),
        patch.object(sys.stdin, "isatty", lambda: True),
        pytest.raises(RemediationError, match="Nothing was started"),
    ):
        how_to_start(ledger, live, 10)


def test_once_sessions_were_started_nobody_is_asked_again(ledger: Ledger, live: Settings, tmp_path: Path) -> None:
    from tests.support import synthetic_ledger

    synthetic_ledger.fill(ledger, live, tmp_path, findings=8, sessions=8)
    assert how_to_start(ledger, live, 10) is Start.ALL
