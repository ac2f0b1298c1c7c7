"""Which ledger the settings mean."""

from pathlib import Path
from typing import Any

import pytest

from remediation_assets.connect import open_ledger
from remediation_assets.ledger.errors import LedgerMismatch
from remediation_assets.settings import Settings

MOCK: dict[str, Any] = {}
ELSEWHERE = {"devin_api_base_url": "http://127.0.0.1:1/v3"}
LIVE = {"mock_mode": False, "devin_api_key": "cog_1"}


def use(folder: Path, values: dict[str, Any]) -> None:
    ledger = open_ledger(Settings(_env_file=None, remediation_data_dir=str(folder), **values))
    ledger.belong_to(values.get("devin_org_id", "org-of-the-key"))


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (MOCK, ELSEWHERE),
        (MOCK, LIVE),
        (LIVE, MOCK),
        (ELSEWHERE, {**LIVE, **ELSEWHERE}),
        ({**LIVE, "devin_org_id": "org-1"}, {**LIVE, "devin_org_id": "org-2"}),
    ],
)
def test_a_ledger_refuses_results_from_elsewhere(tmp_path: Path, first: dict[str, Any], then: dict[str, Any]) -> None:
    use(tmp_path, first)
    with pytest.raises(LedgerMismatch, match="set REMEDIATION_DATA_DIR to another folder"):
        use(tmp_path, then)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (MOCK, {}),
        (LIVE, {**LIVE, "devin_org_id": "org-of-the-key"}),
        (ELSEWHERE, {"devin_api_base_url": "http://127.0.0.1:1/v1/"}),
    ],
)
def test_a_ledger_takes_results_from_the_same_place(
    tmp_path: Path, first: dict[str, Any], then: dict[str, Any]
) -> None:
    use(tmp_path, first)
    use(tmp_path, then)
