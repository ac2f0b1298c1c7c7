"""Looking at Devin: the sessions of whole waves, in as few requests as the API allows."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import NotFound, Unavailable
from remediation_assets.devin.types import DevinSession
from remediation_assets.planning.waves import wave_name

from .attempts import Attempt, ledger_tag, wave_tag


@dataclass
class Sightings:
    """What one poll brought: each attempt's session by its tag, second ones, and who was sought in vain."""

    by_tag: dict[str, DevinSession] = field(default_factory=dict)
    extras: list[tuple[Attempt, DevinSession]] = field(default_factory=list)
    sought_in_vain: list[Attempt] = field(default_factory=list)
    gone: list[Attempt] = field(default_factory=list)


async def look(devin: DevinClient, attempts: Sequence[Attempt], ledger_id: str) -> Sightings:
    """List the sessions of the waves of some attempts - all attempts of these waves - to their last page.

    Then look for each attempt without an outcome that no list has shown: by its own tag where its
    session is not known, else at the session's own address.
    """
    known = {attempt.tag: attempt for attempt in attempts}
    found: dict[str, dict[str, DevinSession]] = defaultdict(dict)
    for wave_number in sorted({attempt.wave_number for attempt in attempts}):
        await _list(devin, wave_tag(ledger_id, wave_name(wave_number)), known, found, ledger_id)
    for attempt in attempts:
        if attempt.claimed_at and attempt.outcome is None and attempt.session_id is None and attempt.tag not in found:
            await _list(devin, attempt.tag, {attempt.tag: attempt}, found, ledger_id)
    sightings = Sightings()
    for tag, sessions in found.items():
        own = _own(known[tag], list(sessions.values()))
        if own is not None:
            sightings.by_tag[tag] = own
        sightings.extras += [(known[tag], session) for session in sessions.values() if session is not own]
    for attempt in attempts:
        if attempt.outcome or not attempt.claimed_at or attempt.tag in sightings.by_tag:
            continue
        if attempt.session_id is None:
            sightings.sought_in_vain.append(attempt)
            continue
        # Absence from a list is nothing: the list may lag. Only the session's own address tells.
        try:
            sightings.by_tag[attempt.tag] = await devin.get_session(attempt.session_id)
        except NotFound:
            sightings.gone.append(attempt)
        except Unavailable:
            continue  # one that cannot be read must not keep the others from being followed
    return sightings


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
    """Tell which of the sessions with an attempt's tag is its own: the one recorded, else the oldest."""
    if attempt.session_id is not None:
        return next((session for session in sessions if session.session_id == attempt.session_id), None)
    if attempt.outcome is not None:
        return None
    return min(sessions, key=lambda session: (session.created_at, session.session_id))
