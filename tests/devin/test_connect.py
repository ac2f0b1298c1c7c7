"""Which Devin the settings lead to, and what is loaded on the way."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remediation_assets.connect import connect
from remediation_assets.devin.errors import QuotaExhausted
from remediation_assets.errors import RemediationError
from remediation_assets.settings import Settings

pytestmark = pytest.mark.anyio

REAL = "cog_real-0123456789"


def settings(tmp_path: Path, **values: Any) -> Settings:
    given: dict[str, Any] = {"remediation_data_dir": str(tmp_path / "data"), "mock_time_scale": 1000.0} | values
    return Settings(_env_file=None, **given)


async def test_mock_mode_works_on_a_world_in_the_data_directory(tmp_path: Path) -> None:
    async with connect(settings(tmp_path, devin_api_key=REAL)) as client:
        session = await client.create_session(prompt="Fix it", tags=["t"])
        assert session.raw["org_id"] == "org-simulator"
    assert (tmp_path / "data" / "simulator.sqlite").exists()
    async with connect(settings(tmp_path)) as client:
        assert [s.session_id async for s in client.list_sessions(tags=["t"])] == [session.session_id]


@pytest.mark.parametrize("version", ["v1", "v3"])
async def test_mock_mode_with_an_address_works_on_the_simulator_there_and_never_sends_the_real_key(
    tmp_path: Path, served: Any, world: Any, version: str
) -> None:
    app, origin = served
    app.state.world = world
    given = {"devin_api_base_url": f"{origin}/v3", "devin_api_version": version, "devin_api_key": REAL}
    async with connect(settings(tmp_path, **given)) as client:
        session = await client.create_session(prompt="Fix it", tags=["t"])
        assert [s.session_id async for s in client.list_sessions(tags=["t"])] == [session.session_id]
        sent = client._connection._api_key.get_secret_value()
    assert sent == {"v1": "apk_simulator", "v3": "cog_simulator"}[version]
    assert not (tmp_path / "data").exists()


async def test_mock_mode_speaks_v1_where_it_is_asked_to(tmp_path: Path) -> None:
    async with connect(settings(tmp_path, devin_api_version="v1")) as client:
        session = await client.create_session(prompt="Fix it", tags=["t"])
        assert (await client.get_session(session.session_id)).raw["status_enum"] == "working"


async def test_mock_mode_has_the_faults_that_are_set(tmp_path: Path) -> None:
    async with connect(settings(tmp_path, mock_faults="quota=0")) as client:
        with pytest.raises(QuotaExhausted):
            await client.create_session(prompt="Fix it")


def test_a_fault_that_does_not_exist_is_an_error_for_people(tmp_path: Path) -> None:
    with pytest.raises(RemediationError, match="There is no fault 'nonsense'"):
        connect(settings(tmp_path, mock_faults="nonsense=1"))


def test_a_live_client_shows_no_key_and_touches_nothing(tmp_path: Path) -> None:
    client = connect(settings(tmp_path, mock_mode=False, devin_api_key="cog_canary-0123456789"))
    assert repr(client) == "DevinClient(origin='https://api.devin.ai', version='v3', org_id='')"
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_live_use_never_loads_the_simulator() -> None:
    program = (
        "import sys; from remediation_assets.connect import connect;"
        "from remediation_assets.settings import Settings;"
        "connect(Settings(_env_file=None, mock_mode=False, devin_api_key='cog_1'));"
        "print([n for n in sys.modules if 'simulator' in n or n in ('fastapi', 'uvicorn', 'dagster')])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
