"""Which Devin the settings lead to, and what is loaded on the way."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remediation_assets.devin.connect import connect
from remediation_assets.settings import Settings

pytestmark = pytest.mark.anyio


def settings(tmp_path: Path, **values: Any) -> Settings:
    given: dict[str, Any] = {"remediation_data_dir": str(tmp_path / "data"), "mock_time_scale": 1000.0} | values
    return Settings(_env_file=None, **given)


async def test_mock_mode_works_on_a_world_in_the_data_directory(tmp_path: Path) -> None:
    async with connect(settings(tmp_path, devin_api_key="cog_real-0123456789")) as client:
        session = await client.create_session(prompt="Fix it", tags=["t"])
        assert session.raw["org_id"] == "org-simulator"
    assert (tmp_path / "data" / "simulator.sqlite").exists()
    async with connect(settings(tmp_path)) as client:
        assert [s.session_id async for s in client.list_sessions(tags=["t"])] == [session.session_id]


async def test_mock_mode_with_an_address_works_on_the_simulator_there_without_a_key(
    tmp_path: Path, served: Any, world: Any
) -> None:
    app, origin = served
    app.state.world = world
    async with connect(settings(tmp_path, devin_api_base_url=f"{origin}/v3")) as client:
        assert await client.org_id() == "org-simulator"
    assert not (tmp_path / "data").exists()


def test_a_live_client_shows_no_key_and_touches_nothing(tmp_path: Path) -> None:
    client = connect(settings(tmp_path, mock_mode=False, devin_api_key="cog_canary-0123456789"))
    assert repr(client) == "DevinClient(origin='https://api.devin.ai', version='v3', org_id='')"
    assert not (tmp_path / "data").exists()


def test_live_use_never_loads_the_simulator(tmp_path: Path) -> None:
    program = (
        "import sys; from remediation_assets.devin.connect import connect;"
        "from remediation_assets.settings import Settings;"
        "connect(Settings(_env_file=None, mock_mode=False, devin_api_key='cog_1'));"
        "print([n for n in sys.modules if 'simulator' in n or n in ('fastapi', 'uvicorn', 'dagster')])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
