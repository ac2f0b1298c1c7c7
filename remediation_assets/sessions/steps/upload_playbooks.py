"""Playbooks at Devin: the version an attempt runs with is uploaded where it is absent."""

from dataclasses import dataclass

from remediation_assets.devin.client import DevinClient
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal


@dataclass(frozen=True)
class _Wanted:
    playbook: str
    playbook_version: str
    title: str
    body: str


async def upload_playbooks(ledger: Ledger, devin: DevinClient, journal: Journal) -> None:
    """Upload the playbook versions that pending attempts need and Devin does not have.

    A version is recognised by its title, which carries the hash of its text. An error of the
    listing goes to the caller, who must not dispatch then: guessing would upload twice.
    """
    with ledger.transaction() as tx:
        wanted = tx.rows(
            _Wanted,
            """
            SELECT v.playbook, v.playbook_version, v.title, v.body
            FROM playbook_versions v
            WHERE v.playbook_id IS NULL AND EXISTS (
                FROM attempts a
                WHERE a.playbook = v.playbook AND a.playbook_version = v.playbook_version AND a.claimed_at IS NULL)
            ORDER BY v.playbook
            """,
        )
    if not wanted:
        return
    known = {playbook.title: playbook.playbook_id async for playbook in devin.list_playbooks()}
    for version in wanted:
        playbook_id = known.get(version.title)
        if playbook_id is None:
            playbook_id = (await devin.create_playbook(title=version.title, body=version.body)).playbook_id
        with ledger.transaction(journal) as tx:
            tx.execute(
                """
                UPDATE playbook_versions SET playbook_id = ?, uploaded_at = ?
                WHERE playbook = ? AND playbook_version = ?
                """,
                [playbook_id, tx.now, version.playbook, version.playbook_version],
            )
