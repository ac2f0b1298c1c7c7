"""What would be sent next for a finding: the same that is then sent, or why nothing is."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from remediation_assets.models import FindingCategory, Outcome
from remediation_assets.planning.playbooks import PlaybookText, read_playbooks
from remediation_assets.sessions.events import Timeline
from remediation_assets.sessions.next_request import NextRequest, NothingToSend, next_request
from remediation_assets.sessions.stopping import stop
from tests.support.carrier import Carrier

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


def without_delimiter(request: dict[str, Any]) -> dict[str, Any]:
    """Leave out the one thing that each attempt draws for itself."""
    prompt, found = re.subn(r"^[0-9a-f]{64}$", "", request["prompt"], flags=re.MULTILINE)
    assert found == 2
    return request | {"prompt": prompt}


def mended() -> dict[FindingCategory, PlaybookText]:
    found = read_playbooks()
    return {category: PlaybookText(old.name, old.body + "Mended.\n") for category, old in found.items()}


def shown(carrier: Carrier, name: str, playbooks: Mapping[FindingCategory, PlaybookText] | None = None) -> NextRequest:
    ledger_id = carrier.ledger.ledger_id
    with carrier.ledger.transaction() as tx:
        told = next_request(tx, name, playbooks or read_playbooks(), ledger_id, carrier.settings, secrets.token_hex)
    return replace(told, request=without_delimiter(told.request))


def sent(carrier: Carrier, title: str) -> dict[str, Any]:
    [body] = [body for body in carrier.wire.created() if body["title"] == title]
    body.pop("structured_output_schema")
    body.pop("structured_output_required", None)
    return without_delimiter(body)


async def test_what_is_shown_is_what_is_sent(carrier: Carrier) -> None:
    carrier.plan(2)
    told = shown(carrier, "F-2")
    assert carrier.wire.requests == []
    carrier.open()
    await carrier.step()
    body = sent(carrier, "Remediate F-2 (attempt 1)")
    assert told.request | {"playbook_id": body["playbook_id"]} == body
    titles = {playbook.playbook_id: playbook.title async for playbook in carrier.devin.list_playbooks()}
    assert (told.wave, told.playbook.title) == ("wave-0001", titles[body["playbook_id"]])


async def test_a_later_round_is_shown_with_what_went_wrong(carrier: Carrier) -> None:
    carrier.plan(4)
    await carrier.settle(S, F, F, F)
    carrier.collect()
    told = shown(carrier, "F-3")
    assert "last_attempt_failed_with" in told.request["prompt"]
    carrier.open()
    await carrier.step()
    assert told.request == sent(carrier, "Remediate F-3 (attempt 2)")


async def test_a_finding_is_found_by_its_key_too(carrier: Carrier) -> None:
    carrier.plan(2)
    [(key,)] = carrier.rows("SELECT finding_key FROM wave_findings WHERE position = 2")
    assert shown(carrier, key).request == shown(carrier, "F-2").request


async def test_a_claim_that_came_back_is_shown_as_it_was_sent(carrier: Carrier) -> None:
    carrier.plan(1)
    carrier.open()
    carrier.wire.fail("POST", "/sessions", 429)
    await carrier.step()
    first = sent(carrier, "Remediate F-1 (attempt 1)")
    assert shown(carrier, "F-1").request == first


async def test_nothing_is_shown_for_what_would_not_be_started(carrier: Carrier) -> None:
    carrier.plan(4)
    carrier.open()
    await carrier.step()
    with pytest.raises(NothingToSend, match="F-1 is at work with attempt 1"):
        shown(carrier, "F-1")
    with pytest.raises(NothingToSend, match="No planned finding has the id or key 'F-9'"):
        shown(carrier, "F-9")
    await carrier.settle(S, S, S, S)
    with pytest.raises(NothingToSend, match="F-1 has succeeded; nothing is sent"):
        shown(carrier, "F-1")


async def test_an_id_of_two_findings_asks_for_the_key(carrier: Carrier) -> None:
    carrier.plan(2)
    with carrier.ledger.transaction() as tx:
        tx.execute("UPDATE finding_rows SET finding_id = 'F-1'")
    with pytest.raises(NothingToSend, match="2 findings have the id 'F-1'; name one of them by its key: "):
        shown(carrier, "F-1")


async def test_a_finding_that_is_not_retried_is_shown_with_the_playbook_of_the_next_round(carrier: Carrier) -> None:
    carrier.plan(2)
    carrier.open()
    carrier.wire.fail("POST", "/sessions", 422, about="F-1")
    carrier.wire.work_on("F-2")
    await carrier.step()
    told = shown(carrier, "F-1", mended())
    assert (told.when, told.playbook.body[-8:]) == ("with the next round of wave-0001", "Mended.\n")


async def test_a_finding_that_may_be_retried_is_shown_with_the_playbook_of_its_round(carrier: Carrier) -> None:
    carrier.plan(2)
    carrier.open()
    carrier.wire.fall_over("F-1")
    carrier.wire.work_on("F-2")
    await carrier.step()
    await carrier.step(after=5)
    told = shown(carrier, "F-1", mended())
    assert told.when == "in this round, if its first attempts pass the gate"
    assert told.playbook.body[-8:] != "Mended.\n"
    with carrier.ledger.transaction() as tx:
        stop(tx, None, Timeline(carrier.clock()))
    assert shown(carrier, "F-1", mended()).playbook.body[-8:] == "Mended.\n"


async def test_what_went_wrong_is_not_what_a_person_stopped(carrier: Carrier) -> None:
    carrier.plan(4)
    for attempt in (2, 3):
        carrier.wire.fall_over("F-4", attempt)
    await carrier.settle(S, S, S, F)
    carrier.collect()
    carrier.open()
    with carrier.ledger.transaction() as tx:
        stop(tx, None, Timeline(carrier.clock()))
    prompt = shown(carrier, "F-4").request["prompt"]
    assert "the session ended in an error" in prompt
    assert "stopped by a person" not in prompt
