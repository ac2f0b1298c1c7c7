"""A ledger belongs to one organisation: another's sessions cannot be seen, and would be started twice."""

import pytest
from pydantic import SecretStr

from remediation_assets.devin.client import DevinClient
from remediation_assets.ledger.errors import LedgerMismatch
from remediation_assets.sessions.reconcile import advance
from tests.support.worker import ORGANISATION, Worker

pytestmark = pytest.mark.anyio


async def test_the_first_step_stamps_the_organisation(worker: Worker) -> None:
    worker.plan(4)
    await worker.step()
    assert worker.rows("SELECT org_id FROM stamp") == [(ORGANISATION,)]


async def test_a_key_of_another_organisation_neither_polls_nor_starts_anything(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    await worker.step()
    sent = len(worker.wire.requests)
    worker.ledger._organisation = ""  # as in a process of its own
    stranger = DevinClient(
        api_key=SecretStr("cog_test"), origin="http://simulator", org_id="org-other", transport=worker.wire
    )
    with pytest.raises(LedgerMismatch, match="organisation org-simulator, and the key belongs to org-other"):
        await advance(worker.ledger, stranger, worker.policy, now=worker.clock)
    assert len(worker.wire.requests) == sent
    assert set(worker.outcomes().values()) == {None}
