"""What would be sent next for a finding: the same that is then sent, or why nothing is."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from remediation_assets.models import FindingCategory, Outcome
from remediation_assets.planning.playbooks import PlaybookText, read_playbooks
from remediation_assets.planning.wave_plan import UnknownFinding
from remediation_assets.reports.next_request import NextCreateRequest, NothingToSend, next_request
from remediation_assets.sessions.steps.cancel import stop
from remediation_assets.sessions.steps.session_request import RequestContext
from tests.support.worker import Worker

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


def shown(
    worker: Worker, name: str, playbooks: Mapping[FindingCategory, PlaybookText] | None = None
) -> NextCreateRequest:
    context = RequestContext(worker.ledger.ledger_id, worker.policy, secrets.token_hex)
    with worker.ledger.transaction() as tx:
        told = next_request(tx, name, playbooks or read_playbooks(), context)
    return replace(told, request=without_delimiter(told.request))


def sent(worker: Worker, title: str) -> dict[str, Any]:
    [body] = [body for body in worker.wire.created() if body["title"] == title]
    body.pop("structured_output_schema")
    body.pop("structured_output_required", None)
    return without_delimiter(body)


async def test_what_is_shown_is_what_is_sent(worker: Worker) -> None:
    worker.plan(2)
    told = shown(worker, "F-2")
    assert worker.wire.requests == []
    worker.open()
    await worker.step()
    body = sent(worker, "Remediate F-2 (attempt 1)")
    assert told.request | {"playbook_id": body["playbook_id"]} == body
    titles = {playbook.playbook_id: playbook.title async for playbook in worker.devin.list_playbooks()}
    assert (told.wave, told.playbook.title) == ("wave-0001", titles[body["playbook_id"]])


async def test_a_later_round_is_shown_with_what_went_wrong(worker: Worker) -> None:
    worker.plan(4)
    await worker.settle(S, F, F, F)
    worker.collect()
    told = shown(worker, "F-3")
    assert "last_attempt_failed_with" in told.request["prompt"]
    worker.open()
    await worker.step()
    assert told.request == sent(worker, "Remediate F-3 (attempt 2)")


async def test_a_finding_is_found_by_its_key_too(worker: Worker) -> None:
    worker.plan(2)
    [(key,)] = worker.rows("SELECT finding_key FROM wave_findings WHERE position = 2")
    assert shown(worker, key).request == shown(worker, "F-2").request


async def test_a_claim_that_came_back_is_shown_as_it_was_sent(worker: Worker) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.fail("POST", "/sessions", 429)
    await worker.step()
    first = sent(worker, "Remediate F-1 (attempt 1)")
    assert shown(worker, "F-1").request == first


async def test_nothing_is_shown_for_what_would_not_be_started(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    await worker.step()
    with pytest.raises(NothingToSend, match="F-1 is at work with attempt 1"):
        shown(worker, "F-1")
    with pytest.raises(UnknownFinding, match="No planned finding has the id or key 'F-9'"):
        shown(worker, "F-9")
    await worker.settle(S, S, S, S)
    with pytest.raises(NothingToSend, match="F-1 has succeeded; nothing is sent"):
        shown(worker, "F-1")


async def test_an_id_of_two_findings_asks_for_the_key(worker: Worker) -> None:
    worker.plan(2)
    with worker.ledger.transaction() as tx:
        tx.execute("UPDATE finding_rows SET finding_id = 'F-1'")
    with pytest.raises(UnknownFinding, match="2 findings have the id 'F-1'; name one of them by its key: "):
        shown(worker, "F-1")


async def test_a_finding_that_is_not_retried_is_shown_with_the_playbook_of_the_next_round(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    worker.wire.fail("POST", "/sessions", 422, about="F-1")
    worker.wire.work_on("F-2")
    await worker.step()
    told = shown(worker, "F-1", mended())
    assert (told.when, told.playbook.body[-8:]) == ("with the next round of wave-0001", "Mended.\n")


async def test_a_finding_that_may_be_retried_is_shown_with_the_playbook_of_its_round(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    worker.wire.fall_over("F-1")
    worker.wire.work_on("F-2")
    await worker.step()
    await worker.step(after=5)
    told = shown(worker, "F-1", mended())
    assert told.when == "in this round, if its first attempts pass the gate"
    assert told.playbook.body[-8:] != "Mended.\n"
    with worker.transaction() as tx:
        stop(tx, None)
    assert shown(worker, "F-1", mended()).playbook.body[-8:] == "Mended.\n"


async def test_what_went_wrong_is_not_what_a_person_stopped(worker: Worker) -> None:
    worker.plan(4)
    for attempt in (2, 3):
        worker.wire.fall_over("F-4", attempt)
    await worker.settle(S, S, S, F)
    worker.collect()
    worker.open()
    with worker.transaction() as tx:
        stop(tx, None)
    prompt = shown(worker, "F-4").request["prompt"]
    assert "the session ended in an error" in prompt
    assert "stopped by a person" not in prompt
