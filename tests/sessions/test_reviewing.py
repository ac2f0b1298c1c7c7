"""What people decide of pull requests, and what follows from it."""

import pytest

from remediation_assets.models import Outcome
from remediation_assets.sessions.events import Timeline
from remediation_assets.sessions.overview import decide, totals, wave_states
from remediation_assets.sessions.reviewing import NotReviewable, Review, Said, reopen, review
from remediation_assets.sessions.rounds import GateClosed
from tests.support.carrier import Carrier
from tests.support.clock import NOON

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED
ADA = "Ada L."


def say(carrier: Carrier, finding: str, verdict: Review, reason: str = "", attempt: int = 1, by: str = ADA) -> None:
    key = carrier.key(finding)
    with carrier.ledger.transaction() as tx:
        review(tx, key, attempt, Said(verdict, by, reason), Timeline(NOON))


def open_again(carrier: Carrier, finding: str, reason: str = "") -> str:
    key = carrier.key(finding)
    with carrier.ledger.transaction() as tx:
        return reopen(tx, key, ADA, reason, Timeline(NOON))


async def test_a_rejected_fix_counts_no_more_and_is_tried_again_only_when_reopened(carrier: Carrier) -> None:
    carrier.plan(3)
    await carrier.settle(S, S, S)
    carrier.collect()
    say(carrier, "F-1", Review.APPROVED)
    say(carrier, "F-2", Review.REJECTED, "It drops the check for admins.")
    [state] = carrier.read(wave_states)
    assert "and the 1 rejected in review once they are reopened" in decide(state, ignore_gate=False).reason
    assert (state.succeeded, state.failed, state.passed) == (2, 1, True)
    assert carrier.read(totals).succeeded == 2
    assert carrier.rows("SELECT finding_id FROM fixed_findings ORDER BY ALL") == [("F-1",), ("F-3",)]
    assert carrier.attempts("outcome")["F-2", 1] == "success"
    assert carrier.open().attempts == 0

    assert open_again(carrier, "F-2") == "wave-0001"
    assert carrier.open().attempts == 1
    await carrier.follow()
    assert set(carrier.attempts("outcome")) == {("F-1", 1), ("F-2", 1), ("F-2", 2), ("F-3", 1)}
    told = "Its pull request was rejected in review: It drops the check for admins."
    assert told in carrier.wire.created()[-1]["prompt"]
    assert carrier.rows("SELECT verdict, reviewer FROM reviews ORDER BY review_id") == [
        *(("approved", ADA), ("rejected", ADA), ("reopened", ADA))
    ]


async def test_a_later_verdict_counts_what_was_rejected_as_a_failure(carrier: Carrier) -> None:
    carrier.set(min_success_rate=0.5)
    carrier.plan(3)
    for attempt in (2, 3, 4):
        carrier.wire.fall_over("F-3", attempt)
    await carrier.settle(S, S, F)
    carrier.collect()
    say(carrier, "F-1", Review.REJECTED, "no")
    say(carrier, "F-2", Review.REJECTED, "no")
    carrier.open()
    await carrier.follow()
    assert carrier.rows("SELECT round, succeeded, answerable FROM gate_results ORDER BY round")[0] == (1, 2, 3)
    assert carrier.rows("SELECT succeeded, passed FROM gate_results ORDER BY round DESC LIMIT 1") == [(0, False)]


async def test_what_a_person_said_is_told_to_every_later_attempt(carrier: Carrier) -> None:
    carrier.plan(1)
    await carrier.settle(S)
    carrier.collect()
    say(carrier, "F-1", Review.REJECTED, "It drops the check.")
    open_again(carrier, "F-1", "Keep the check.")
    carrier.wire.fall_over("F-1", 2)
    carrier.open()
    await carrier.follow()
    carrier.collect()
    carrier.open()
    await carrier.follow()
    prompts = [body["prompt"] for body in carrier.wire.created()]
    assert ["It drops the check. Keep the check." in prompt for prompt in prompts] == [
        False,
        *[True] * (len(prompts) - 1),
    ]
    assert len(prompts) > 2


async def test_a_wave_whose_fixes_were_all_rejected_says_what_to_do(carrier: Carrier) -> None:
    carrier.set(wave_size=1)
    carrier.plan(2)
    await carrier.settle(F)
    carrier.collect()
    carrier.wire.succeed("F-1", 2, repository="https://git.example.com/acme/shop")
    carrier.open()
    with carrier.ledger.transaction() as tx:
        tx.execute("UPDATE rounds SET unsure = false")
    await carrier.follow()
    carrier.collect()
    say(carrier, "F-1", Review.REJECTED, "no", attempt=2)
    carrier.rows("UPDATE gate_results SET passed = false RETURNING 1")
    with pytest.raises(GateClosed, match="1 of it were rejected in review: reopen them and run wave-0001 again"):
        carrier.open("wave-0002")


async def test_what_cannot_be_reviewed_says_why(carrier: Carrier) -> None:
    carrier.plan(3)
    await carrier.settle(S, F, S)
    carrier.collect()
    for finding, verdict, told in (
        ("F-2", Review.APPROVED, "has no pull request to review: it is failed"),
        ("F-1", Review.REJECTED, "A rejection has a reason"),
    ):
        with pytest.raises(NotReviewable, match=told):
            say(carrier, finding, verdict)
    with pytest.raises(NotReviewable, match="A review has a name"):
        say(carrier, "F-1", Review.APPROVED, by=" ")
    with pytest.raises(NotReviewable, match="shorten it"):
        say(carrier, "F-1", Review.REJECTED, "x" * 2001)
    with pytest.raises(NotReviewable, match="is the last one of this finding"):
        say(carrier, "F-1", Review.APPROVED, attempt=2)
    say(carrier, "F-1", Review.APPROVED)
    with pytest.raises(NotReviewable, match=r"was approved by Ada L\. meanwhile"):
        say(carrier, "F-1", Review.REJECTED, "late")
    assert carrier.rows("SELECT verdict FROM reviews") == [("approved",)]


async def test_what_cannot_be_reopened_says_why(carrier: Carrier) -> None:
    carrier.plan(3)
    await carrier.settle(S, F, S)
    carrier.collect()
    say(carrier, "F-1", Review.APPROVED)
    with pytest.raises(NotReviewable, match="was approved by"):
        open_again(carrier, "F-1")
    with pytest.raises(NotReviewable, match="the next round of wave-0001 takes it without being told"):
        open_again(carrier, "F-2")
    open_again(carrier, "F-3", "Not what we want")
    with pytest.raises(NotReviewable, match="was reopened by"):
        open_again(carrier, "F-3")
    with carrier.ledger.transaction() as tx, pytest.raises(NotReviewable, match="No session was started"):
        reopen(tx, "nothing", ADA, "", Timeline(NOON))
    carrier.open()
    with pytest.raises(NotReviewable, match="is under way"):
        open_again(carrier, "F-3")
