"""What a poll makes of live attempts: their time, their silence, their disappearance, their end."""

import json

import httpx
import pytest

from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

REPOSITORY = "https://git.example.com/acme/shop"


async def dispatched(worker: Worker, findings: int = 1) -> None:
    worker.set(session_timeout_minutes=1.0)
    worker.plan(findings)
    worker.open()
    for number in range(1, findings + 1):
        worker.wire.work_on(f"F-{number}")
    await worker.step()


async def test_a_session_without_a_result_times_out_after_its_minutes(worker: Worker) -> None:
    await dispatched(worker)
    await worker.step(after=30)
    await worker.step(after=29)
    assert worker.outcomes() == {("F-1", 1): None}
    await worker.step(after=1)
    outcome, status, ended, message = worker.attempts("outcome, status, terminated_at, error_message")["F-1", 1]
    assert (outcome, status, ended) == ("timeout", "timeout", worker.clock())
    assert message == "no result within 1 minutes"
    assert worker.sessions()[0].shows.status == "exit"


async def test_time_in_which_nobody_polled_does_not_count(worker: Worker) -> None:
    await dispatched(worker)
    for _ in range(3):
        await worker.step(after=3600)
    assert worker.outcomes() == {("F-1", 1): None}


async def test_time_in_which_the_api_was_out_of_reach_does_not_count(worker: Worker) -> None:
    await dispatched(worker)
    await worker.step(after=30)
    worker.wire.fail("GET", "/sessions", 503, times=8)
    for _ in range(2):
        with pytest.raises(Exception, match="503"):
            await worker.step(after=40)
    await worker.step(after=1)
    assert worker.outcomes() == {("F-1", 1): None}
    await worker.step(after=30)
    assert worker.outcomes() == {("F-1", 1): "timeout"}


async def test_time_under_a_hold_does_not_count(worker: Worker) -> None:
    worker.wire.fail_create(402, "F-2", times=99)
    await dispatched(worker, findings=2)
    for _ in range(4):
        await worker.step(after=30)
    assert worker.holds() == [("quota", True)]
    assert worker.outcomes()["F-1", 1] is None


async def test_the_last_stretch_of_a_hold_does_not_count_either(worker: Worker) -> None:
    refused = httpx.Response(429, json={"detail": "slow down"}, headers={"retry-after": "55"})
    worker.wire.fail_create(refused, "F-2")
    await dispatched(worker, findings=2)
    await worker.step(after=55)
    await worker.step(after=5)
    assert worker.outcomes()["F-1", 1] is None


async def test_evidence_beats_the_clock(worker: Worker) -> None:
    await dispatched(worker)
    await worker.step(after=59)
    worker.wire.succeed("F-1", repository=REPOSITORY)
    await worker.step(after=50)
    assert worker.attempts("outcome, pr_url") == {("F-1", 1): ("success", f"{REPOSITORY}/pull/1")}


async def test_an_outcome_never_changes(worker: Worker) -> None:
    await dispatched(worker, findings=2)
    worker.wire.fall_over("F-1")
    await worker.step(after=5)
    worker.wire.succeed("F-1", repository=REPOSITORY)
    await worker.step(after=5)
    assert worker.outcomes()["F-1", 1] == "failed"


async def test_a_session_that_succeeded_is_not_ended(worker: Worker) -> None:
    await dispatched(worker)
    worker.wire.succeed("F-1", repository=REPOSITORY)
    await worker.step(after=5)
    assert worker.attempts("outcome, terminate_wanted_at") == {("F-1", 1): ("success", None)}
    assert [method for method, *_ in worker.wire.requests if method == "DELETE"] == []


async def test_a_waiting_session_needs_a_person_and_its_last_words_are_kept(worker: Worker) -> None:
    await dispatched(worker)
    worker.wire.ask("F-1")
    await worker.step(after=5)
    assert worker.attempts("status, outcome, blocked_since") == {("F-1", 1): ("blocked", None, worker.clock())}
    await worker.step(after=9)
    assert worker.outcomes() == {("F-1", 1): None}
    worker.wire.fail(
        "GET",
        "/messages",
        httpx.Response(
            200,
            json={
                "items": [
                    {"source": "devin", "message": "First words."},
                    {"source": "devin", "message": "Which branch?"},
                    {"source": "user", "message": "Not Devin's."},
                ]
            },
        ),
    )
    await worker.step(after=1)
    assert worker.attempts("outcome, error_message") == {("F-1", 1): ("failed", "needs a person: Which branch?")}


async def test_a_waiting_session_that_works_again_starts_its_wait_anew(worker: Worker) -> None:
    await dispatched(worker)
    worker.wire.ask("F-1")
    await worker.step(after=5)
    worker.wire.work_on("F-1")
    await worker.step(after=5)
    worker.wire.ask("F-1")
    await worker.step(after=5)
    assert worker.attempts("status, outcome, blocked_since") == {("F-1", 1): ("blocked", None, worker.clock())}


async def test_absence_from_a_list_is_nothing(worker: Worker) -> None:
    await dispatched(worker)
    worker.wire.unlisted.add("F-1")
    await worker.step(after=5)
    worker.wire.succeed("F-1", repository=REPOSITORY)
    await worker.step(after=50)
    assert worker.attempts("missing_since, outcome") == {("F-1", 1): (None, "success")}


async def test_a_session_that_two_polls_do_not_find_has_vanished_and_counts_for_nothing(worker: Worker) -> None:
    await dispatched(worker, findings=2)
    worker.wire.succeed("F-2", repository=REPOSITORY)
    worker.wire.gone.add("F-1")
    await worker.step(after=5)
    await worker.step(after=9)
    assert worker.outcomes()["F-1", 1] is None
    step = await worker.step(after=1)
    assert worker.outcomes()["F-1", 1] == "vanished"
    assert step.settled == ("wave-0001",)
    assert worker.rows("SELECT findings, succeeded, answerable, passed FROM gate_results") == [(2, 1, 1, True)]


async def test_a_session_that_is_found_again_has_not_vanished(worker: Worker) -> None:
    await dispatched(worker)
    worker.wire.gone.add("F-1")
    await worker.step(after=5)
    worker.wire.gone.clear()
    await worker.step(after=5)
    worker.wire.gone.add("F-1")
    await worker.step(after=5)
    assert worker.attempts("outcome, missing_since") == {("F-1", 1): (None, worker.clock())}


async def test_a_session_out_of_quota_stays_open_and_holds_dispatch(worker: Worker) -> None:
    worker.set(max_parallel_sessions=1)
    await dispatched(worker, findings=2)
    worker.wire.show("F-1", status="suspended", status_detail="out_of_credits")
    step = await worker.step(after=5)
    assert worker.holds() == [("quota", True)]
    assert "out_of_credits" in step.holds[0].reason
    assert worker.outcomes() == {("F-1", 1): None, ("F-2", 1): None}


async def test_what_a_session_shows_is_kept(worker: Worker) -> None:
    await dispatched(worker)
    worker.wire.show(
        "F-1", status="running", status_detail="working", acus_consumed=1.5, structured_output={"status": "odd"}
    )
    await worker.step(after=5)
    assert worker.attempts("api_status, api_detail, acus_consumed") == {("F-1", 1): ("running", "working", 1.5)}
    [(output, valid, raw)] = worker.rows("SELECT structured_output, output_valid, raw FROM observations")
    assert (output, valid, json.loads(raw)["status_detail"]) == ('{"status": "odd"}', False, "working")


async def test_a_retry_waits_until_the_failed_session_is_known_to_be_ended(worker: Worker) -> None:
    await dispatched(worker, findings=4)
    for number in (2, 3, 4):
        worker.wire.succeed(f"F-{number}", repository=REPOSITORY)
    worker.wire.fall_over("F-1")
    worker.wire.fail("DELETE", ".*", 500, times=4)
    await worker.step(after=5)
    assert worker.outcomes()["F-1", 1] == "failed"
    assert worker.attempts("claimed_at")["F-1", 2] is None
    assert len(worker.wire.created()) == 4
    await worker.step(after=5)
    shown = {session.title: session.shows.status for session in worker.sessions()}
    assert shown["Remediate F-1 (attempt 1)"] == "exit"
    assert shown["Remediate F-1 (attempt 2)"] == "new"


async def test_a_retry_is_told_what_went_wrong_before(worker: Worker) -> None:
    await dispatched(worker, findings=4)
    for number in (2, 3, 4):
        worker.wire.succeed(f"F-{number}", repository=REPOSITORY)
    worker.wire.fall_over("F-1")
    await worker.step(after=5)
    prompt = worker.wire.created()[-1]["prompt"]
    assert '"last_attempt_failed_with": "the session ended in an error' in prompt
    assert ", attempt 2; the data says what went wrong in the one before" in prompt
