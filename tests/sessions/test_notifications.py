"""What Slack is sent: one message when a wave settles or a hold begins, with counts, links and no markup of others."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from pydantic import SecretStr

from remediation_assets.ledger.errors import LedgerBusy
from remediation_assets.ledger.transaction import Event, Journal
from remediation_assets.models import EventType, Outcome
from remediation_assets.sessions import notifications
from remediation_assets.sessions.notifications import announcements
from remediation_assets.slack import Message
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


def read(message: Message) -> str:
    """Return a message's lines, with links and emoji as Slack's own markup writes them."""
    (section,) = message.body["blocks"][0]["elements"]
    shown: dict[str, Callable[[Any], str]] = {
        "text": lambda part: part["text"],
        "emoji": lambda part: f":{part['name']}:",
        "link": lambda part: f"<{part['url']}|{part['text']}>",
    }
    return "".join(shown[part["type"]](part) for part in section["elements"])


@pytest.fixture
def told(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what would be sent; the sending itself is tried with a server of its own."""
    messages: list[str] = []
    monkeypatch.setattr(notifications, "announce", lambda _webhook, found: messages.extend(map(read, found)))
    worker.set(slack_webhook_url=SecretStr("http://127.0.0.1:9/hook"))
    return messages


async def test_a_wave_that_passes_is_told_once_with_counts_and_links(worker: Worker, told: list[str]) -> None:
    worker.plan(4)
    for attempt in (2, 3):
        worker.wire.fall_over("F-4", attempt)
    await worker.settle(S, S, S, F)
    await worker.step(after=60)
    [message] = told
    first, counts, failure, *rest, advice = message.splitlines()
    assert first.startswith(":white_check_mark: wave-0001 round 1 has settled, gate passed: 3 of 4 succeeded, 75%")
    assert counts == "3 success, 1 failed."
    assert failure.startswith("• F-4 failed (")
    assert ["|pull request> <https://app.devin.ai/sessions/" in line for line in rest] == [True] * 3
    assert advice == "There is no further wave; review the pull requests."


async def test_a_gate_that_fails_says_what_to_do(worker: Worker, told: list[str]) -> None:
    worker.plan(4)
    await worker.settle(S, F, F, F)
    [message] = told
    assert message.startswith(":octagonal_sign: wave-0001 round 1 has settled, gate failed: 1 of 4 succeeded")
    assert message.endswith("Look at the failures, then run wave-0001 again (job remediate_wave).")


async def test_a_hold_is_told_when_it_begins_and_not_again(worker: Worker, told: list[str]) -> None:
    worker.plan(4)
    worker.open()
    worker.wire.fail("POST", "/sessions", 402, times=9)
    for _ in range(3):
        await worker.step(after=5)
    [message] = told
    assert message.startswith(":double_vertical_bar: dispatching is on hold (quota): ")


async def test_what_was_not_kept_is_not_told(worker: Worker) -> None:
    journal = Journal(worker.clock)
    with suppress(ZeroDivisionError), worker.ledger.transaction(journal) as tx:
        tx.record(EventType.HOLD_SET, "rolled back")
        raise ZeroDivisionError
    assert journal.events == []
    with worker.ledger.transaction(journal) as tx:
        tx.record(EventType.HOLD_SET, "kept")
        assert journal.events == []
        assert len(announcements(tx, tx.recorded)) == 1
    assert journal.messages == ["kept"]


async def test_hostile_ids_and_words_are_text_and_nothing_else(worker: Worker) -> None:
    worker.plan(4)
    await worker.settle(*[F] * 4)
    with worker.ledger.transaction() as tx:
        tx.execute("UPDATE wave_plan SET finding_id = '<!channel>' WHERE finding_id = 'F-1'")
        gated = tx.rows(
            Event, "SELECT event_id, event_type, message FROM session_events WHERE event_type = 'wave_gated'"
        )
        [message] = announcements(tx, gated)
    (section,) = message.body["blocks"][0]["elements"]
    holding = [part for part in section["elements"] if "<!channel>" in part.get("text", "")]
    assert [part["type"] for part in holding] == ["text"]
    assert "<!channel>" not in message.summary


async def test_a_ledger_that_is_busy_then_fails_nothing(
    worker: Worker, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.plan(4)

    def busy(*_: Any) -> list[Message]:
        raise LedgerBusy("busy")

    monkeypatch.setattr(notifications, "announcements", busy)
    await worker.settle(S, S, S, S)
    assert told == []
