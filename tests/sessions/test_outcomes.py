"""The mapping from what a session shows to what becomes of its attempt, row by row."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from remediation_assets.devin.types import DevinSession, PullRequest
from remediation_assets.models import Outcome, SessionStatus
from remediation_assets.sessions.rules.outcome import Classification, classify, good_pull_request
from tests.support.clock import NOON

REPOSITORY = "https://git.example.com/acme/shop"
GOOD = f"{REPOSITORY}/pull/7"
ELSEWHERE = "https://git.example.com/acme/other/pull/7"

DISPATCHED, WORKING, BLOCKED = SessionStatus.DISPATCHED, SessionStatus.WORKING, SessionStatus.BLOCKED
SUCCESS, FAILED = SessionStatus.SUCCESS, SessionStatus.FAILED

QUEUED_WORDS = [("new", None), ("creating", None), ("claimed", None), ("resuming", None)]
WORKING_WORDS = [
    ("running", "working"),
    ("running", None),
    ("running", "a_word_of_next_year"),
    ("a_word_of_next_year", None),
    ("", None),
    ("suspended", None),
    ("suspended", "a_word_of_next_year"),
    # v1's words, in which the detail counts
    ("running", "resumed"),
    ("running", "suspend_requested"),
    ("suspended", "resume_requested_frontend"),
    ("working", "working"),
]
FINISHED_WORDS = [("running", "finished"), ("exit", None), ("exit", "finished"), ("exit", "a_word_of_next_year")]
FINISHED_WORDS += [("suspended", "finished"), ("finished", "finished")]
WAITING_WORDS = [
    ("running", "waiting_for_user"),
    ("running", "waiting_for_approval"),
    ("suspended", "inactivity"),
    ("suspended", "user_request"),
    ("running", "blocked"),
    ("suspended", "blocked"),
    ("blocked", "blocked"),
]
EXPIRED_WORDS = [("running", "expired"), ("suspended", "expired"), ("expired", "expired")]
DEAD_WORDS = [
    ("error", None),
    ("error", "working"),
    ("suspended", "error"),
    ("error", "finished"),
    ("error", "blocked"),
]
HALTED_WORDS = [
    ("suspended", "usage_limit_exceeded"),
    ("suspended", "out_of_credits"),
    ("suspended", "out_of_quota"),
    ("suspended", "payment_declined"),
    ("suspended", "org_usage_limit_exceeded"),
    ("suspended", "total_session_limit_exceeded"),
    ("suspended", "no_quota_allocation"),
    ("suspended", "contract_expired"),
]
EVERY_WORD = [
    *QUEUED_WORDS,
    *WORKING_WORDS,
    *FINISHED_WORDS,
    *WAITING_WORDS,
    *EXPIRED_WORDS,
    *DEAD_WORDS,
    *HALTED_WORDS,
]


def output(stage: str, **more: Any) -> dict[str, Any]:
    return {
        "finding_id": "F-1",
        "status": stage,
        "progress_pct": 50,
        "current_step": "a step",
        "files_modified": [],
        "tests_added": 0,
        "confidence": "high",
    } | more


COMPLETED, FIXING = output("completed"), output("fixing")
INVALID = {"status": "done", "note": "all good"}  # not our schema: it says nothing
# Not our schema either, but what it says of the stage stands.
INVALID_FAILED, INVALID_FIXING = {"status": "failed"}, output("fixing", progress_pct="half")


def session(words: tuple[str, str | None], url: str | None, said: Any, state: str | None = "open") -> DevinSession:
    return DevinSession(
        session_id="devin-1",
        url="https://app.devin.ai/sessions/1",
        status=words[0],
        status_detail=words[1],
        pull_requests=(PullRequest(url=url, state=state),) if url else (),
        structured_output=said,
        acus_consumed=None,
        created_at=NOON,
        updated_at=NOON,
        tags=(),
        title=None,
        is_archived=False,
        raw={},
    )


def judged(session: DevinSession, blocked_for: float | None = None) -> Classification:
    since = None if blocked_for is None else NOON - timedelta(seconds=blocked_for)
    return classify(session, repo_url=REPOSITORY, blocked_since=since, polled_at=NOON, confirm_seconds=60)


TABLE: list[tuple[Sequence[tuple[str, str | None]], str | None, Any, SessionStatus, Outcome | None]] = [
    # words of the API, pull request, structured output -> status, outcome
    (QUEUED_WORDS, None, None, DISPATCHED, None),
    (QUEUED_WORDS, GOOD, COMPLETED, DISPATCHED, None),
    (WORKING_WORDS, None, None, WORKING, None),
    (WORKING_WORDS, GOOD, None, WORKING, None),
    (WORKING_WORDS, GOOD, COMPLETED, WORKING, None),
    (FINISHED_WORDS, GOOD, COMPLETED, SUCCESS, Outcome.SUCCESS),
    (FINISHED_WORDS, GOOD, None, SUCCESS, Outcome.SUCCESS),
    (FINISHED_WORDS, GOOD, INVALID, SUCCESS, Outcome.SUCCESS),
    (FINISHED_WORDS, GOOD, "no object at all", SUCCESS, Outcome.SUCCESS),
    (FINISHED_WORDS, GOOD, FIXING, BLOCKED, None),
    (FINISHED_WORDS, GOOD, INVALID_FIXING, BLOCKED, None),
    (FINISHED_WORDS, None, COMPLETED, BLOCKED, None),
    (FINISHED_WORDS, None, None, BLOCKED, None),
    (FINISHED_WORDS, ELSEWHERE, COMPLETED, BLOCKED, None),
    (WAITING_WORDS, GOOD, COMPLETED, SUCCESS, Outcome.SUCCESS),
    (WAITING_WORDS, GOOD, None, SUCCESS, Outcome.SUCCESS),
    (WAITING_WORDS, GOOD, INVALID, SUCCESS, Outcome.SUCCESS),
    (WAITING_WORDS, GOOD, FIXING, BLOCKED, None),
    (WAITING_WORDS, GOOD, INVALID_FIXING, BLOCKED, None),
    (WAITING_WORDS, None, COMPLETED, BLOCKED, None),
    (WAITING_WORDS, None, None, BLOCKED, None),
    (WAITING_WORDS, ELSEWHERE, COMPLETED, BLOCKED, None),
    (EXPIRED_WORDS, GOOD, COMPLETED, SUCCESS, Outcome.SUCCESS),
    (EXPIRED_WORDS, GOOD, None, SUCCESS, Outcome.SUCCESS),
    (EXPIRED_WORDS, GOOD, FIXING, SessionStatus.TIMEOUT, Outcome.TIMEOUT),
    (EXPIRED_WORDS, ELSEWHERE, COMPLETED, SessionStatus.TIMEOUT, Outcome.TIMEOUT),
    (EXPIRED_WORDS, None, None, SessionStatus.TIMEOUT, Outcome.TIMEOUT),
    (DEAD_WORDS, GOOD, COMPLETED, FAILED, Outcome.FAILED),
    (DEAD_WORDS, None, None, FAILED, Outcome.FAILED),
    (EVERY_WORD, None, output("failed"), FAILED, Outcome.FAILED),
    (EVERY_WORD, GOOD, output("failed"), FAILED, Outcome.FAILED),
    (EVERY_WORD, GOOD, INVALID_FAILED, FAILED, Outcome.FAILED),
    (EVERY_WORD, GOOD, output("failed", pr_url=None, tests_passed=None), FAILED, Outcome.FAILED),
]


@pytest.mark.parametrize(
    ("words", "url", "said", "status", "outcome"),
    [(words, *rest) for several, *rest in TABLE for words in several],
)
def test_an_attempt_is_what_its_session_gives_evidence_for(
    words: tuple[str, str | None], url: str | None, said: Any, status: SessionStatus, outcome: Outcome | None
) -> None:
    judgement = judged(session(words, url, said))
    assert (judgement.status, judgement.outcome) == (status, outcome)
    assert judgement.account_reason is None
    assert bool(judgement.reason) == (outcome in (Outcome.FAILED, Outcome.TIMEOUT))
    assert (judgement.pr_url == GOOD) == (url == GOOD and outcome in (None, Outcome.SUCCESS))


@pytest.mark.parametrize("url", [GOOD, None])
@pytest.mark.parametrize("words", HALTED_WORDS)
def test_a_session_without_quota_stays_open_and_accuses_the_account(words: tuple[str, str], url: str | None) -> None:
    judgement = judged(session(words, url, COMPLETED if url else FIXING))
    assert judgement.outcome is None
    assert words[1] in (judgement.account_reason or "")


@pytest.mark.parametrize(
    ("blocked_for", "outcome"), [(None, None), (0, None), (59.9, None), (60, Outcome.FAILED), (600, Outcome.FAILED)]
)
@pytest.mark.parametrize("words", [*WAITING_WORDS, *FINISHED_WORDS])
@pytest.mark.parametrize(("url", "said"), [(None, None), (ELSEWHERE, COMPLETED), (GOOD, FIXING)])
def test_a_session_that_stopped_without_a_good_pull_request_fails_once_that_has_lasted(
    words: tuple[str, str | None], url: str | None, said: Any, blocked_for: float | None, outcome: Outcome | None
) -> None:
    judgement = judged(session(words, url, said), blocked_for)
    assert judgement.outcome is outcome
    assert judgement.status is (FAILED if outcome else BLOCKED)
    # Only one that waits asks for a person; one that has finished says so itself.
    asks = "needs a person" in (judgement.reason or "")
    assert asks == (outcome is not None and words in WAITING_WORDS)
    assert bool(judgement.reason) == bool(outcome)


def test_a_pull_request_that_appears_after_the_session_has_finished_is_a_success() -> None:
    finished = ("running", "finished")
    assert judged(session(finished, None, COMPLETED), 30).outcome is None
    assert judged(session(finished, GOOD, COMPLETED), 30).outcome is Outcome.SUCCESS


def test_a_long_wait_does_not_stand_against_the_evidence_of_success() -> None:
    assert judged(session(("running", "waiting_for_user"), GOOD, COMPLETED), 600).outcome is Outcome.SUCCESS


def test_a_long_wait_does_not_stand_against_a_session_that_works_again() -> None:
    assert judged(session(("running", "working"), None, None), 600).status is WORKING


@pytest.mark.parametrize(
    ("words", "said", "told"),
    [
        (("running", "finished"), output("completed", error_message="no write access"), "no write access"),
        (("running", "finished"), None, "finished without a pull request"),
        (("error", None), output("testing", error_message="the machine is gone"), "the machine is gone"),
        (("suspended", "error"), None, "suspended error"),
        (("running", "working"), output("failed", error_message="not vulnerable"), "not vulnerable"),
        (("running", "working"), output("failed"), "without a reason"),
    ],
)
def test_a_failure_tells_its_reason(words: tuple[str, str | None], said: Any, told: str) -> None:
    assert told in (judged(session(words, None, said), blocked_for=60).reason or "")


@pytest.mark.parametrize(
    ("url", "state"),
    [
        (GOOD, "open"),
        (GOOD, "merged"),
        (GOOD, "draft"),
        (GOOD, None),
        (f"{REPOSITORY}/-/merge_requests/7", "open"),
        (f"{REPOSITORY}/pull/7#discussion", "open"),
        ("https://GIT.example.com/Acme/Shop/pull/7", "open"),
    ],
)
def test_a_pull_request_in_the_repository_counts(url: str, state: str | None) -> None:
    found = good_pull_request((PullRequest(url=url, state=state),), REPOSITORY)
    assert found is not None
    assert found.url == url


@pytest.mark.parametrize(
    ("url", "state"),
    [
        (GOOD, "closed"),
        (GOOD, "CLOSED"),
        (GOOD.replace("https:", "http:"), "open"),
        (GOOD.replace("https:", "javascript:"), "open"),
        (GOOD.removeprefix("https:"), "open"),
        (ELSEWHERE, "open"),
        (f"{REPOSITORY}-fork/pull/7", "open"),
        (REPOSITORY, "open"),
        (f"{REPOSITORY}/", "open"),
        ("https://evil.example/acme/shop/pull/7", "open"),
        ("https://git.example.com.evil.example/acme/shop/pull/7", "open"),
        ("https://git.example.com@evil.example/acme/shop/pull/7", "open"),
        ("https://user:secret@git.example.com/acme/shop/pull/7", "open"),
        ("https://git.example.com:8443/acme/shop/pull/7", "open"),
        ("https://git.example.com:port/acme/shop/pull/7", "open"),
        (f"{REPOSITORY}/../other/pull/7", "open"),
        (f"{REPOSITORY}/%2e%2e/other/pull/7", "open"),
        (f"{REPOSITORY}/..%2Fother/pull/7", "open"),
        (f"{REPOSITORY}/.%2E/other/pull/7", "open"),
        (f"{REPOSITORY}\\..\\other/pull/7", "open"),
        (f"{REPOSITORY}/pull/7\nhttps://evil.example", "open"),
        (f'{REPOSITORY}/pull/7"><script>', "open"),
        (f"{REPOSITORY}/pull/ 7", "open"),
        ("https://[git.example.com/acme/shop/pull/7", "open"),
        ("", "open"),
    ],
)
def test_no_other_pull_request_counts(url: str, state: str) -> None:
    assert good_pull_request((PullRequest(url=url, state=state),), REPOSITORY) is None


def test_the_newest_good_pull_request_counts() -> None:
    urls = [(f"{REPOSITORY}/pull/1", "open"), (f"{REPOSITORY}/pull/2", "merged"), (f"{REPOSITORY}/pull/3", "closed")]
    found = good_pull_request(tuple(PullRequest(url=url, state=state) for url, state in urls), REPOSITORY)
    assert found is not None
    assert found.url.endswith("/2")
