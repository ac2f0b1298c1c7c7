"""What a session's state means for its attempt: the one mapping from the API's words to ours.

Pure functions. Evidence decides, never the API's status alone: a success needs a pull request.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from urllib.parse import urlsplit

from remediation_assets.devin.types import DevinSession, PullRequest
from remediation_assets.escape import is_plain_url
from remediation_assets.models import Outcome, SessionStatus
from remediation_assets.planning.output_schema import stage_of

_QUEUED = {"new", "creating", "claimed", "resuming"}
_WAITING_DETAILS = {"waiting_for_user", "waiting_for_approval"}
_SLEEPING_DETAILS = {"inactivity", "user_request"}
# The API's list of account reasons grows with every revision, so they are known by their words.
_ACCOUNT_WORDS = re.compile(r"quota|limit|credit|payment|contract")

NEEDS_A_PERSON = "needs a person"


class ApiState(Enum):
    """What the API's words say, before any evidence is weighed."""

    QUEUED = auto()
    WORKING = auto()
    FINISHED = auto()
    WAITING = auto()
    EXPIRED = auto()
    DEAD = auto()
    SUSPENDED = auto()


@dataclass(frozen=True)
class Classification:
    """What a session's present state means for its attempt; `outcome` is None while the attempt continues."""

    status: SessionStatus
    outcome: Outcome | None = None
    pr_url: str | None = None
    reason: str | None = None
    account_reason: str | None = None


def api_state(status: str, detail: str | None) -> ApiState:
    """Read the API's status words, v3's and v1's; unknown ones mean that the session is still at work.

    The words of v1 are details: they count whatever the status is, unless the status is an error.
    """
    match status, detail or "":
        case ("error", _) | ("suspended", "error"):
            return ApiState.DEAD
        case (_, "expired"):
            return ApiState.EXPIRED
        # On v3 a session that has done its work stays `running`, with the detail `finished`; it does not exit by
        # itself.
        case ("exit", _) | (_, "finished"):
            return ApiState.FINISHED
        # v1 blocks with Devin's last message, after good work as well as with a question.
        case (_, "blocked"):
            return ApiState.WAITING
        # `resuming` too: the session was suspended and is queued for a machine again.
        case (word, _) if word in _QUEUED:
            return ApiState.QUEUED
        case ("running", word) if word in _WAITING_DETAILS:
            return ApiState.WAITING
        # Asleep until somebody writes to it, which is no more than waiting.
        case ("suspended", word) if word in _SLEEPING_DETAILS:
            return ApiState.WAITING
        case ("suspended", word) if _ACCOUNT_WORDS.search(word):
            return ApiState.SUSPENDED
        # Words that a later API adds, `suspended` for an unknown reason too. A session that is wrongly taken to work
        # is corrected by a later poll or by its timeout; a wrong outcome would stay.
        case _:
            return ApiState.WORKING


def classify(
    session: DevinSession,
    *,
    repo_url: str,
    blocked_since: datetime | None,
    polled_at: datetime,
    confirm_seconds: float,
) -> Classification:
    """Classify an attempt by its session as seen by the poll that began at `polled_at`.

    `blocked_since` is when a poll first saw the session waiting, or finished, without a good pull request, provided
    that every poll since then has seen the same. The order of the checks matters: the agent's own report beats the
    API's status, and a good pull request beats waiting, because Devin parks a session that has done its work.
    """
    stage = stage_of(session.structured_output)
    said = _text(session.structured_output, "error_message")
    good = good_pull_request(session.pull_requests, repo_url)
    state = api_state(session.status, session.status_detail)
    # In every state and beside any pull request: the agent itself says that the fix is none.
    if stage == "failed":
        return _failed(said or "Devin reported failure without a reason")
    # The account's trouble and not the attempt's: it goes on once there is quota again.
    if state is ApiState.SUSPENDED:
        return Classification(SessionStatus.WORKING, account_reason=f"session suspended: {session.status_detail}")
    if state is ApiState.DEAD:
        return _failed(
            said or f"the session ended in an error ({' '.join(filter(None, (session.status, session.status_detail)))})"
        )
    # No stage is no objection, because agents may leave out their notes; an unfinished one is, because Devin often
    # opens its pull request and works on.
    if state in (ApiState.FINISHED, ApiState.WAITING, ApiState.EXPIRED) and good and stage in (None, "completed"):
        return Classification(SessionStatus.SUCCESS, Outcome.SUCCESS, pr_url=good.url)
    # At once, unlike waiting: an expired session does nothing more that a second poll could see.
    if state is ApiState.EXPIRED:
        return Classification(SessionStatus.TIMEOUT, Outcome.TIMEOUT, reason=said or "the session expired at Devin")
    if state in (ApiState.FINISHED, ApiState.WAITING):
        # Not at first sight: it may be a question in mid-run, or the pull request is about to appear.
        if blocked_since and (polled_at - blocked_since).total_seconds() >= confirm_seconds:
            return _failed(_why_it_stopped(state, said, has_pull_request=good is not None))
        return Classification(SessionStatus.BLOCKED, pr_url=good.url if good else None)
    # With a good pull request as well: Devin may still be testing it, and evidence comes with the end of its work.
    working = SessionStatus.DISPATCHED if state is ApiState.QUEUED else SessionStatus.WORKING
    return Classification(working, pr_url=good.url if good else None)


def good_pull_request(pull_requests: tuple[PullRequest, ...], repo_url: str) -> PullRequest | None:
    """Find the newest pull request that can count: an https URL in the repository, not closed unmerged."""
    for pull_request in reversed(pull_requests):
        # v1 reports no state; without one it counts as open.
        if (pull_request.state or "").lower() != "closed" and _is_within(pull_request.url, repo_url):
            return pull_request
    return None


def _is_within(url: str, repo_url: str) -> bool:
    try:
        there, repo = urlsplit(url), urlsplit(repo_url)
        # Inside the try: reading a port that is no number raises.
        same_host = (there.hostname, there.port) == (repo.hostname, repo.port)
    except ValueError:
        return False
    # With the slash, so that `/team/app-2` is not within `/team/app`; in lower case, as code hosts compare names.
    path = repo.path.rstrip("/").removesuffix(".git").lower() + "/"
    # Bitbucket Server clones from /scm/P/r and shows its pull requests at /projects/P/repos/r.
    path = re.sub(r"^/scm/([^/]+)/([^/]+)/$", r"/projects/\1/repos/\2/", path)
    return (
        there.scheme == "https"
        and same_host
        # Text before an @ looks like a host to whoever reads the link.
        and "@" not in there.netloc
        # A server may resolve such a path to another repository.
        and re.search(r"\.\.|%2e|%2f|%5c", there.path, re.IGNORECASE) is None
        and is_plain_url(url)
        and there.path.lower().startswith(path)
        and len(there.path) > len(path)
    )


def _why_it_stopped(state: ApiState, said: str | None, *, has_pull_request: bool) -> str:
    """Return why a session that does nothing more has failed."""
    if state is ApiState.WAITING:
        return NEEDS_A_PERSON + (f": {said}" if said else "")
    return said or ("Devin stopped before it was done" if has_pull_request else "finished without a pull request")


def _failed(reason: str) -> Classification:
    return Classification(SessionStatus.FAILED, Outcome.FAILED, reason=reason)


def _text(output: object, name: str) -> str | None:
    return str(output[name]) if isinstance(output, dict) and output.get(name) else None
