"""Dispatch: what is sent, and what each answer of the API makes of an attempt."""

import json

import httpx
import pytest

from remediation_assets.devin.errors import Unavailable
from remediation_assets.models import FindingCategory, Outcome
from remediation_assets.planning.playbooks import PlaybookText, read_playbooks
from remediation_assets.planning.wave_plan import plan_sessions
from remediation_assets.sessions.model import attempt_tag, ledger_tag, wave_tag
from remediation_assets.simulator.world.world import SimulatedSession
from tests.support.scripted_devin import Answer
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

TOO_MANY = httpx.Response(429, json={"detail": "slow down"}, headers={"retry-after": "120"})


def tags_of(session: SimulatedSession) -> list[str]:
    return list(session.tags)


async def test_an_accepted_attempt_has_its_session(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    step = await worker.step()
    assert step.started == 2
    sessions = {session.title: session.session_id for session in worker.sessions()}
    recorded = worker.attempts("session_id, session_url, status, request, unknown_since")
    for number in (1, 2):
        session_id = sessions[f"Remediate F-{number} (attempt 1)"]
        url = f"https://app.devin.ai/sessions/{session_id.removeprefix('devin-')}"
        assert recorded[f"F-{number}", 1] == (session_id, url, "dispatched", None, None)


async def test_a_request_carries_what_the_attempt_is_found_and_paid_by(worker: Worker) -> None:
    worker.set(max_acu_per_session=3, devin_secret_ids=("secret-1",), devin_knowledge_ids=("note-1",))
    worker.plan(1)
    worker.open()
    await worker.step()
    [body] = worker.wire.created()
    ledger_id = worker.ledger.ledger_id
    [(key, playbook_id)] = worker.rows(
        "SELECT finding_key, playbook_id FROM attempts JOIN playbook_versions USING (playbook)"
    )
    assert body["tags"] == [
        ledger_tag(ledger_id),
        wave_tag(ledger_id, "wave-0001"),
        "finding-F-1",
        attempt_tag(key, 1),
    ]
    assert (body["max_acu_limit"], body["secret_ids"], body["knowledge_ids"]) == (3, ["secret-1"], ["note-1"])
    assert (body["repos"], body["playbook_id"]) == (["acme/shop"], playbook_id)
    assert f"Ledger {ledger_id}, attempt 1" in body["prompt"]
    assert body["structured_output_schema"]["title"] == "Remediation progress"


async def test_each_attempt_draws_a_delimiter_of_its_own(worker: Worker) -> None:
    worker.plan(4)
    planned = {delimiter_of(prompt) for (prompt,) in worker.rows("SELECT prompt FROM wave_plan")}
    worker.open()
    await worker.step()
    sent = {delimiter_of(body["prompt"]) for body in worker.wire.created()}
    assert len(sent) == 4
    assert sent.isdisjoint(planned)


def delimiter_of(prompt: str) -> str:
    lines = prompt.splitlines()
    return lines[lines.index("{") - 1]


async def test_a_claim_freezes_its_wave_and_no_other(worker: Worker) -> None:
    worker.plan(8)
    worker.open()
    assert worker.rows("SELECT wave_number FROM waves WHERE frozen_at IS NOT NULL") == []
    await worker.step()
    assert worker.rows("SELECT wave_number FROM waves WHERE frozen_at IS NOT NULL") == [(1,)]


async def test_a_refused_attempt_ends_with_the_words_of_the_api(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    for finding_id, status in [("F-1", 400), ("F-2", 413), ("F-3", 422)]:
        worker.wire.fail_create(httpx.Response(status, json={"detail": f"no: {status}"}), finding_id)
    await worker.step()
    assert worker.attempts("outcome, status, error_message") == {
        ("F-1", 1): ("refused", "failed", "no: 400"),
        ("F-2", 1): ("refused", "failed", "no: 413"),
        ("F-3", 1): ("refused", "failed", "no: 422"),
        ("F-4", 1): (None, "dispatched", None),
    }
    assert worker.holds() == []
    await worker.step(after=300)
    assert len(worker.wire.created()) == 4


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (401, "credentials"),
        (402, "quota"),
        (403, "permission"),
        (404, "permission"),
        (429, "rate_limit"),
        (TOO_MANY, "rate_limit"),
    ],
)
async def test_the_accounts_trouble_spends_no_attempt_and_sets_a_hold(
    worker: Worker, answer: httpx.Response | int, kind: str
) -> None:
    worker.plan(2)
    worker.open()
    worker.wire.fail_create(answer, times=2)
    step = await worker.step()
    assert step.started == 0
    assert worker.attempts("status, outcome, claimed_at, unknown_since") == {
        ("F-1", 1): ("pending", None, None, None),
        ("F-2", 1): ("pending", None, None, None),
    }
    assert worker.holds() == [(kind, True)]
    assert [hold.kind for hold in step.holds] == [kind]


@pytest.mark.parametrize("answer", [401, 429])
async def test_an_attempt_goes_out_with_the_same_bytes_after_a_hold(worker: Worker, answer: int) -> None:
    worker.plan(1)
    worker.open()
    worker.wire.fail_create(answer)
    await worker.step()
    await worker.step(after=59)
    assert len(worker.wire.created()) == 1
    await worker.step(after=1)
    first, second = worker.wire.created()
    assert first == second
    assert worker.holds()[0][1] is False
    assert worker.attempts("status") == {("F-1", 1): "dispatched"}


async def test_one_attempt_probes_a_hold_without_an_end(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    worker.wire.fail_create(402, times=6)
    await worker.step()
    assert len(worker.wire.created()) == 4
    await worker.step(after=61)
    assert len(worker.wire.created()) == 5
    await worker.step(after=5)
    assert len(worker.wire.created()) == 5
    await worker.step(after=61)
    assert len(worker.wire.created()) == 6
    await worker.step(after=61)
    assert len(worker.sessions()) == 4
    assert worker.holds() == [("quota", False)]


async def test_any_other_answer_leaves_the_claim_as_it_is(worker: Worker) -> None:
    faults: list[Answer | int] = [
        500,
        503,
        302,
        httpx.Response(200, content=b"{"),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("no"),
    ]
    worker.set(wave_size=7)
    worker.plan(7)
    worker.open()
    for number, fault in enumerate(faults, start=1):
        worker.wire.fail_create(fault, f"F-{number}")
    await worker.step()
    claims = worker.attempts("status, outcome, claimed_at, unknown_since")
    now = worker.clock()
    assert {key: claims[key] for key in list(claims)[:6]} == {
        (f"F-{number}", 1): ("pending", None, now, now) for number in range(1, 7)
    }
    assert claims["F-7", 1][0] == "dispatched"
    stored = worker.attempts("request")["F-1", 1]
    assert json.loads(stored)["prompt"] in [body["prompt"] for body in worker.wire.created()]


@pytest.mark.parametrize("slots", [2, 5])
async def test_no_more_sessions_than_slots_are_ever_live(worker: Worker, slots: int) -> None:
    worker.set(max_parallel_sessions=slots, wave_size=6)
    worker.plan(6)
    live: list[int] = []
    worker.wire.before_create = lambda: live.append(
        worker.rows("SELECT count(*) FROM attempts WHERE claimed_at IS NOT NULL AND outcome IS NULL")[0][0]
    )
    worker.open()
    await worker.follow()
    assert max(live) == slots
    assert worker.rows("SELECT count(*) FROM attempts WHERE outcome IS NULL") == [(0,)]


async def test_waves_share_the_slots(worker: Worker) -> None:
    worker.set(max_parallel_sessions=5)
    worker.plan(8)
    worker.open()
    worker.open("wave-0002", ignore_gate=True)
    await worker.step()
    assert worker.rows(
        "SELECT wave_number, count(*) FROM attempts WHERE claimed_at IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ) == [
        (1, 4),
        (2, 1),
    ]


async def test_a_playbook_is_uploaded_once_though_its_answer_is_lost(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    worker.wire.fail("POST", "/playbooks", httpx.ReadTimeout("slow"), late=True)
    with pytest.raises(Exception, match="playbooks"):
        await worker.step()
    assert worker.wire.created() == []
    await worker.step()
    titles = [playbook.title async for playbook in worker.devin.list_playbooks()]
    assert len(titles) == 1
    assert len(worker.sessions()) == 2


async def test_nothing_is_sent_while_playbooks_cannot_be_listed(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    worker.wire.fail("GET", "/playbooks", 502, times=9)
    with pytest.raises(Unavailable):
        await worker.step()
    assert [path for method, path, _ in worker.wire.requests if method == "POST"] == []


async def test_waves_run_with_the_playbooks_that_stood_when_each_was_planned(worker: Worker) -> None:
    worker.plan(6)
    await worker.settle(*[Outcome.SUCCESS] * 4)
    worker.collect()
    mended = {
        category: PlaybookText(playbook.name, playbook.body + "\nMended.\n")
        for category, playbook in read_playbooks().items()
    }
    ledger_id = worker.ledger.ledger_id
    with worker.ledger.transaction() as tx:
        for wave in ("wave-0001", "wave-0002"):
            plan_sessions(tx, wave, mended, ledger_id=ledger_id)
    worker.open("wave-0002")
    await worker.step()
    versions = dict(
        worker.rows("SELECT wave, list(DISTINCT playbook_version) FROM session_results WHERE attempt > 0 GROUP BY wave")
    )
    old, new = read_playbooks()[FindingCategory.XSS], mended[FindingCategory.XSS]
    assert versions == {"wave-0001": [old.version], "wave-0002": [new.version]}
    kept = dict(worker.rows("SELECT playbook_version, body FROM playbook_versions WHERE playbook = 'xss'"))
    assert kept == {old.version: old.body, new.version: new.body}
    at_devin = {playbook.playbook_id: playbook.title async for playbook in worker.devin.list_playbooks()}
    sent = [at_devin[body["playbook_id"]] for body in worker.wire.created()]
    assert sent == [old.title] * 4 + [new.title] * 2


async def test_events_stand_in_the_order_in_which_things_happened(worker: Worker) -> None:
    worker.plan(4)
    worker.wire.fall_over("F-1")
    worker.open()
    await worker.follow()
    events = worker.rows('SELECT event_type, "timestamp", finding_key, attempt FROM session_events ORDER BY event_id')
    assert [at for _, at, *_ in events] == sorted(at for _, at, *_ in events)
    kinds = [kind for kind, *_ in events]
    assert (kinds[0], kinds[1]) == ("wave_started", "run_started")
    assert kinds[-2:] == ["wave_completed", "run_completed"]
    key = worker.key("F-1")
    of_first = [(kind, attempt) for kind, _, finding, attempt in events if finding == key]
    assert of_first[:5] == [
        ("session_started", 1),
        ("session_failed", 1),
        ("session_ended", 1),
        ("session_retried", 1),
        ("session_started", 2),
    ]
