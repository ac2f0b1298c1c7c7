"""The dashboard over HTTP, on a ledger with something of everything and on an empty one."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from remediation_assets.dashboard.routes import create_app
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.settings import Settings
from tests.support import synthetic_ledger


@pytest.fixture
def client(ledger: Ledger, settings: Settings, tmp_path: Path) -> TestClient:
    """Return a client of a dashboard that shows 120 findings, 32 of them with a session."""
    synthetic_ledger.fill(ledger, settings, tmp_path, findings=120, sessions=32)
    return TestClient(create_app(ledger, settings), base_url="http://127.0.0.1")


@pytest.fixture
def empty(ledger: Ledger, settings: Settings) -> TestClient:
    """Return a client of a dashboard before anything was read."""
    return TestClient(create_app(ledger, settings), base_url="http://127.0.0.1")
