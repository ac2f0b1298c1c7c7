"""What people decide of pull requests, and what follows from it."""

import pytest

from remediation_assets.models import Outcome
from remediation_assets.reports.waves import decide, totals, wave_states
from remediation_assets.sessions.store.reviews import Decision, NotReviewable, Review, reopen, review
from remediation_assets.sessions.store.rounds import GateClosed
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED
ADA = "Ada L."


def say(worker: Worker, finding: str, verdict: Decision, reason: str = "", attempt: int = 1, by: str = ADA) -> None:
    key = worker.key(finding)
    with worker.ledger.transaction() as tx:
        review(tx, key, attempt, Review(verdict, by, reason))


def open_again(worker: Worker, finding: str, reason: str = "") -> str:
    key = worker.key(finding)
    with worker.ledger.transaction() as tx:
        return reopen(tx, key, ADA, reason)


async def test_a_rejected_fix_counts_no_more_and_is_tried_again_only_when_reopened(worker: Worker) -> None:
    worker.plan(3)
    await worker.settle(S, S, S)
    worker.collect()
    say(worker, "F-1", Decision.APPROVED)
    say(worker, "F-2", Decision.REJECTED, "It drops the check for admins.")
    [state] = worker.read(wave_states)
    assert "and the 1 rejected in review once they are reopened" in decide(state, ignore_gate=False).reason
    assert (state.succeeded, state.failed, state.opens) == (2, 1, True)
    assert worker.read(totals).succeeded == 2
    assert worker.rows("SELECT finding_id FROM fixed_findings ORDER BY ALL") == [("F-1",), ("F-3",)]
    assert worker.outcomes()["F-2", 1] == "success"
    assert worker.open().attempts == 0

    assert open_again(worker, "F-2") == "wave-0001"
    assert worker.open().attempts == 1
    await worker.follow()
    assert set(worker.outcomes()) == {("F-1", 1), ("F-2", 1), ("F-2", 2), ("F-3", 1)}
    told = "Its pull request was rejected in review: It drops the check for admins."
    assert told in worker.wire.created()[-1]["prompt"]
    assert worker.rows("SELECT verdict, reviewer FROM reviews ORDER BY review_id") == [
        *(("approved", ADA), ("rejected", ADA), ("reopened", ADA))
    ]


async def test_a_later_verdict_counts_what_was_rejected_as_a_failure(worker: Worker) -> None:
    worker.set(min_success_rate=0.5)
    worker.plan(3)
    for attempt in (2, 3, 4):
        worker.wire.fall_over("F-3", attempt)
    await worker.settle(S, S, F)
    worker.collect()
    say(worker, "F-1", Decision.REJECTED, "no")
    say(worker, "F-2", Decision.REJECTED, "no")
    worker.open()
    await worker.follow()
    assert worker.rows("SELECT round, succeeded, answerable FROM gate_results ORDER BY round")[0] == (1, 2, 3)
    assert worker.rows("SELECT succeeded, passed FROM gate_results ORDER BY round DESC LIMIT 1") == [(0, False)]


async def test_what_a_person_said_is_told_to_every_later_attempt(worker: Worker) -> None:
    worker.plan(1)
    await worker.settle(S)
    worker.collect()
    say(worker, "F-1", Decision.REJECTED, "It drops the check.")
    open_again(worker, "F-1", "Keep the check.")
    worker.wire.fall_over("F-1", 2)
    worker.open()
    await worker.follow()
    worker.collect()
    worker.open()
    await worker.follow()
    prompts = [body["prompt"] for body in worker.wire.created()]
    assert ["It drops the check. Keep the check." in prompt for prompt in prompts] == [
        False,
        *[True] * (len(prompts) - 1),
    ]
    assert len(prompts) > 2


async def test_a_wave_whose_fixes_were_all_rejected_says_what_to_do(worker: Worker) -> None:
    worker.set(wave_size=1)
    worker.plan(2)
    await worker.settle(F)
    worker.collect()
    worker.wire.succeed("F-1", 2, repository="https://git.example.com/acme/shop")
    worker.open()
    with worker.ledger.transaction() as tx:
        tx.execute("UPDATE rounds SET unconfirmed = false")
    await worker.follow()
    worker.collect()
    say(worker, "F-1", Decision.REJECTED, "no", attempt=2)
    worker.rows("UPDATE gate_results SET passed = false, opens = false, verdict = 'failed' RETURNING 1")
    with pytest.raises(GateClosed, match="1 of it were rejected in review: reopen them and run wave-0001 again"):
        worker.open("wave-0002")


async def test_what_cannot_be_reviewed_says_why(worker: Worker) -> None:
    worker.plan(3)
    await worker.settle(S, F, S)
    worker.collect()
    for finding, verdict, told in (
        ("F-2", Decision.APPROVED, "has no pull request to review: it is failed"),
        ("F-1", Decision.REJECTED, "A rejection needs a reason"),
    ):
        with pytest.raises(NotReviewable, match=told):
            say(worker, finding, verdict)
    with pytest.raises(NotReviewable, match="A review has a name"):
        say(worker, "F-1", Decision.APPROVED, by=" ")
    with pytest.raises(NotReviewable, match="shorten it"):
        say(worker, "F-1", Decision.REJECTED, "x" * 2001)
    with pytest.raises(NotReviewable, match="is the last one of this finding"):
        say(worker, "F-1", Decision.APPROVED, attempt=2)
    say(worker, "F-1", Decision.APPROVED)
    with pytest.raises(NotReviewable, match=r"was approved by Ada L\. in the meantime"):
        say(worker, "F-1", Decision.REJECTED, "late")
    assert worker.rows("SELECT verdict FROM reviews") == [("approved",)]


async def test_what_cannot_be_reopened_says_why(worker: Worker) -> None:
    worker.plan(3)
    await worker.settle(S, F, S)
    worker.collect()
    say(worker, "F-1", Decision.APPROVED)
    with pytest.raises(NotReviewable, match="was approved by"):
        open_again(worker, "F-1")
    with pytest.raises(NotReviewable, match="the next round of wave-0001 takes it anyway"):
        open_again(worker, "F-2")
    open_again(worker, "F-3", "Not what we want")
    with pytest.raises(NotReviewable, match="was reopened by"):
        open_again(worker, "F-3")
    with worker.ledger.transaction() as tx, pytest.raises(NotReviewable, match="No session was started"):
        reopen(tx, "nothing", ADA, "")
    worker.open()
    with pytest.raises(NotReviewable, match="is under way"):
        open_again(worker, "F-3")
