"""Looking at Devin: the sessions of live attempts, in as few requests as the API allows."""

from collections import defaultdict
from dataclasses import dataclass, field

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import NotFound, Unavailable
from remediation_assets.devin.types import DevinSession
from remediation_assets.planning.waves import wave_name

from .attempts import Attempt, ledger_tag, wave_tag


@dataclass
class Sightings:
    """What one poll brought: sessions by attempt tag, and the attempts sought in vain."""

    by_tag: dict[str, DevinSession] = field(default_factory=dict)
    sought_in_vain: list[Attempt] = field(default_factory=list)
    gone: list[Attempt] = field(default_factory=list)


async def look(devin: DevinClient, live: list[Attempt], ledger_id: str) -> Sightings:
    """List the sessions of each live wave, then look for each attempt that no list has shown."""
    sightings = Sightings()
    by_wave: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in live:
        by_wave[attempt.wave_number].append(attempt)
    for wave_number, attempts in by_wave.items():
        async for session in devin.list_sessions(tags=[wave_tag(ledger_id, wave_name(wave_number))]):
            _sight(sightings, session, attempts, ledger_id)
    for attempt in live:
        if attempt.tag in sightings.by_tag:
            continue
        if attempt.session_id is None:
            async for session in devin.list_sessions(tags=[attempt.tag]):
                _sight(sightings, session, [attempt], ledger_id)
            if attempt.tag not in sightings.by_tag:
                sightings.sought_in_vain.append(attempt)
        else:
            # Absence from a list is nothing: the list may lag. Only the session's own address tells.
            try:
                sightings.by_tag[attempt.tag] = await devin.get_session(attempt.session_id)
            except NotFound:
                sightings.gone.append(attempt)
            except Unavailable:
                continue  # one that cannot be read must not keep the others from being followed
    return sightings


def _sight(sightings: Sightings, session: DevinSession, attempts: list[Attempt], ledger_id: str) -> None:
    # Tags are compared in the answer: what a filter does with several is not documented.
    if ledger_tag(ledger_id) not in session.tags:
        return
    for attempt in attempts:
        if attempt.tag in session.tags and attempt.session_id in (None, session.session_id):
            sightings.by_tag.setdefault(attempt.tag, session)
