"""Look up sessions at Devin: those of whole waves, in as few requests as the API allows."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import NotFound, Unavailable
from remediation_assets.devin.types import DevinSession
from remediation_assets.planning.waves import wave_name
from remediation_assets.sessions.model import Attempt, Phase, ledger_tag, wave_tag


@dataclass
class Listing:
    """What one poll found: sessions by their attempt's tag, duplicates, and the attempts whose session is missing."""

    by_tag: dict[str, DevinSession] = field(default_factory=dict)
    duplicates: list[tuple[Attempt, DevinSession]] = field(default_factory=list)
    not_found: list[Attempt] = field(default_factory=list)
    """Claims whose session is not known and that no list shows."""

    vanished: list[Attempt] = field(default_factory=list)
    """Live attempts whose session Devin says does not exist."""


async def list_sessions(devin: DevinClient, attempts: Sequence[Attempt], ledger_id: str) -> Listing:
    """List all sessions of some waves, to the last page; `attempts` are all attempts of these waves.

    Then look up each open attempt whose session is in no list: at the session's own address, or by the attempt's tag
    if its session is not known.
    """
    known = {attempt.tag: attempt for attempt in attempts}
    found: dict[str, dict[str, DevinSession]] = defaultdict(dict)
    for wave_number in sorted({attempt.wave_number for attempt in attempts}):
        await _list(devin, wave_tag(ledger_id, wave_name(wave_number)), known, found, ledger_id)
    for attempt in attempts:
        # By its own tag too, because a claim is given back only if this finds nothing, and the wave's list may lag.
        if attempt.phase is Phase.CLAIMED and attempt.tag not in found:
            await _list(devin, attempt.tag, {attempt.tag: attempt}, found, ledger_id)
    listing = Listing()
    for tag, sessions in found.items():
        own = _own(known[tag], list(sessions.values()))
        if own is not None:
            listing.by_tag[tag] = own
        listing.duplicates += [(known[tag], session) for session in sessions.values() if session is not own]
    for attempt in attempts:
        if attempt.phase not in (Phase.CLAIMED, Phase.LIVE) or attempt.tag in listing.by_tag:
            continue
        if attempt.session_id is None:
            listing.not_found.append(attempt)
            continue
        # Absence from a list proves nothing: the list may lag. Only the session's own address tells.
        try:
            listing.by_tag[attempt.tag] = await devin.get_session(attempt.session_id)
        except NotFound:
            listing.vanished.append(attempt)
        except Unavailable:
            continue  # one that cannot be read must not keep the others from being followed
    return listing


async def _list(
    devin: DevinClient,
    tag: str,
    known: dict[str, Attempt],
    found: dict[str, dict[str, DevinSession]],
    ledger_id: str,
) -> None:
    async for session in devin.list_sessions(tags=[tag]):
        # Tags are compared in the answer: what a filter does with several is not documented.
        if ledger_tag(ledger_id) in session.tags:
            for named in known.keys() & set(session.tags):
                found[named].setdefault(session.session_id, session)


def _own(attempt: Attempt, sessions: list[DevinSession]) -> DevinSession | None:
    """Return the attempt's own session among those with its tag: the recorded one, else the oldest."""
    if attempt.session_id is not None:
        return next((session for session in sessions if session.session_id == attempt.session_id), None)
    # It ended before its session was known: whatever shows up now is one too many.
    if attempt.outcome is not None:
        return None
    # The oldest, so that every poll picks the same one; the id decides between equal times.
    return min(sessions, key=lambda session: (session.created_at, session.session_id))
