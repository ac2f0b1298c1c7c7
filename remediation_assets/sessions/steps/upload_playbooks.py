"""Upload the playbook versions that attempts need and that Devin does not have."""

from remediation_assets.devin.client import DevinClient
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal
from remediation_assets.sessions.store.playbook_versions import not_uploaded, note_uploaded


async def upload_playbooks(ledger: Ledger, devin: DevinClient, journal: Journal) -> None:
    """Upload the playbook versions that pending attempts need and Devin does not have.

    A version is recognised by its title, which contains the hash of its text. If Devin's playbooks cannot be listed,
    the error is raised and the caller must not dispatch: uploading without the list could upload a version twice.
    """
    with ledger.transaction() as tx:
        wanted = not_uploaded(tx)
    if not wanted:
        return
    # Listed first: an upload whose answer was lost, or another ledger's, is found by its title.
    known = {playbook.title: playbook.playbook_id async for playbook in devin.list_playbooks()}
    for version in wanted:
        playbook_id = known.get(version.title)
        if playbook_id is None:
            playbook_id = (await devin.create_playbook(title=version.title, body=version.body)).playbook_id
        # After each upload, not after all: what is recorded is not looked for again if the next one fails.
        with ledger.transaction(journal) as tx:
            note_uploaded(tx, version, playbook_id)
