"""Versions of playbooks: which of them Devin lacks, and the id that each has there."""

from dataclasses import dataclass

from remediation_assets.ledger.transaction import Reader, Transaction


@dataclass(frozen=True)
class PlaybookVersion:
    """A version of a playbook, with the title and the text that it has at Devin."""

    playbook: str
    playbook_version: str
    title: str
    body: str


def not_uploaded(tx: Reader) -> list[PlaybookVersion]:
    """Load the versions that have no id at Devin yet although pending attempts need them."""
    return tx.rows(
        PlaybookVersion,
        """
        SELECT v.playbook, v.playbook_version, v.title, v.body
        FROM playbook_versions v
        -- Only what is needed: every version ever edited is in the table, and each upload is a request.
        WHERE v.playbook_id IS NULL AND EXISTS (
            FROM attempts a
            WHERE a.playbook = v.playbook AND a.playbook_version = v.playbook_version AND a.claimed_at IS NULL)
        ORDER BY v.playbook
        """,
    )


def note_uploaded(tx: Transaction, version: PlaybookVersion, playbook_id: str) -> None:
    """Store the id that a version has at Devin."""
    tx.execute(
        """
        UPDATE playbook_versions SET playbook_id = ?, uploaded_at = ?
        WHERE playbook = ? AND playbook_version = ?
        """,
        [playbook_id, tx.now, version.playbook, version.playbook_version],
    )
