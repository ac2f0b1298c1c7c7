"""What is sent to start an attempt's session."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from remediation_assets.ledger.transaction import Reader
from remediation_assets.planning.prompts import build_remediation_prompt, safe_id
from remediation_assets.planning.wave_plan import planned_finding
from remediation_assets.planning.waves import wave_name
from remediation_assets.sessions.model import Attempt, attempt_tag, ledger_tag, wave_tag
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.store.attempts import last_failure, stored_request
from remediation_assets.sessions.store.reviews import why_rejected


@dataclass(frozen=True)
class RequestContext:
    """What a request carries beside its attempt and finding; `draw_delimiter` draws a new random text each time."""

    ledger_id: str
    policy: Policy
    draw_delimiter: Callable[[], str]


def build_request(tx: Reader, attempt: Attempt, context: RequestContext) -> dict[str, Any]:
    """Return the create request of an attempt; a second one for the same attempt has the same bytes."""
    stored = stored_request(tx, attempt)
    # Not built again: the delimiter is random, and the playbook or a review may have changed since.
    if stored.request:
        return dict(json.loads(stored.request))
    which = NewRequest(attempt.finding_key, attempt.attempt, attempt.wave_number, stored.playbook_id)
    return new_request(tx, which, context)


@dataclass(frozen=True)
class NewRequest:
    """The attempt that a create request is for, by finding, number and wave, and its playbook's id at Devin."""

    finding_key: str
    number: int
    wave_number: int
    playbook_id: str | None


def new_request(tx: Reader, of: NewRequest, context: RequestContext) -> dict[str, Any]:
    """Build the first create request of an attempt from its finding's plan."""
    finding = planned_finding(tx, of.finding_key, of.wave_number)
    shown_id = safe_id(finding, of.finding_key)
    return {
        "prompt": build_remediation_prompt(
            finding,
            finding_key=of.finding_key,
            ledger_id=context.ledger_id,
            attempt=of.number,
            delimiter=context.draw_delimiter(),
            last_failure=_what_went_wrong(tx, of.finding_key, of.number),
        ),
        "title": f"Remediate {shown_id} (attempt {of.number})",
        "tags": [
            ledger_tag(context.ledger_id),
            wave_tag(context.ledger_id, wave_name(of.wave_number)),
            f"finding-{shown_id}",
            # The last one is how a lost session is found: no other attempt has it.
            attempt_tag(of.finding_key, of.number),
        ],
        "playbook_id": of.playbook_id,
        "repos": [_repository(finding.repo_url)],
        # Empty lists are sent as such: left away, the API would give the session every secret and all knowledge.
        "secret_ids": list(context.policy.secret_ids),
        "knowledge_ids": list(context.policy.knowledge_ids),
        "max_acu_limit": context.policy.max_acu_per_session,
    }


def _what_went_wrong(tx: Reader, finding_key: str, before: int) -> str | None:
    """Return why people rejected the last fix and why the last attempt failed, None if neither is known."""
    reasons = (why_rejected(tx, finding_key, before), last_failure(tx, finding_key, before=before))
    return " ".join(filter(None, reasons)) or None


def _repository(repo_url: str) -> str:
    return repo_url.split("://", 1)[-1].split("/", 1)[-1]
