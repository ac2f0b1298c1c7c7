"""A ledger belongs to one organisation: another's sessions cannot be seen, and would be started twice."""

import pytest
from pydantic import SecretStr

from remediation_assets.devin.client import DevinClient
from remediation_assets.ledger.errors import LedgerMismatch
from remediation_assets.sessions.advance import advance
from tests.support.carrier import ORGANISATION, Carrier

pytestmark = pytest.mark.anyio


async def test_the_first_step_stamps_the_organisation(carrier: Carrier) -> None:
    carrier.plan(4)
    await carrier.step()
    assert carrier.rows("SELECT org_id FROM stamp") == [(ORGANISATION,)]


async def test_a_key_of_another_organisation_neither_polls_nor_starts_anything(carrier: Carrier) -> None:
    carrier.plan(4)
    carrier.open()
    await carrier.step()
    sent = len(carrier.wire.requests)
    carrier.ledger._organisation = ""  # as in a process of its own
    stranger = DevinClient(
        api_key=SecretStr("cog_test"), origin="http://simulator", org_id="org-other", transport=carrier.wire
    )
    with pytest.raises(LedgerMismatch, match="organisation org-simulator, and the key belongs to org-other"):
        await advance(carrier.ledger, stranger, carrier.settings, now=carrier.clock)
    assert len(carrier.wire.requests) == sent
    assert set(carrier.attempts("outcome").values()) == {None}
