"""The playbooks of the simulated organisations."""

import uuid
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from .store import Store


class SimulatedPlaybook(BaseModel):
    """A playbook of the world."""

    model_config = ConfigDict(frozen=True)

    number: int
    playbook_id: str
    org_id: str
    title: str
    body: str
    macro: str | None
    created_at: float
    updated_at: float


class Playbooks:
    """All playbooks of a world."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        """Keep playbooks in the world's store; `clock` returns unix seconds."""
        self._store = store
        self._clock = clock

    def create(self, org_id: str, title: str, body: str, macro: str | None) -> SimulatedPlaybook:
        """Add a playbook; as with the real Devin, several playbooks may have the same title."""
        playbook_id, now = f"playbook-{uuid.uuid4().hex}", self._clock()
        with self._store.writing() as store:
            store.execute(
                "INSERT INTO playbooks (playbook_id, org_id, title, body, macro, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (playbook_id, org_id, title, body, macro, now, now),
            )
        return self._rows("AND playbook_id = ?", org_id, playbook_id)[0]

    def get(self, org_id: str, playbook_id: str) -> SimulatedPlaybook | None:
        """Return one playbook, or None if there is none of this id."""
        return next(iter(self._rows("AND playbook_id = ?", org_id, playbook_id)), None)

    def page(self, org_id: str, first: int, after: int) -> list[SimulatedPlaybook]:
        """Return up to `first` playbooks beyond number `after`, oldest first."""
        return self._rows("AND number > ? ORDER BY number LIMIT ?", org_id, after, first)

    def replace(self, playbook: SimulatedPlaybook, title: str, body: str, macro: str | None) -> SimulatedPlaybook:
        """Replace a playbook's title, body and macro."""
        now = self._clock()
        with self._store.writing() as store:
            store.execute(
                "UPDATE playbooks SET title = ?, body = ?, macro = ?, updated_at = ? WHERE playbook_id = ?",
                (title, body, macro, now, playbook.playbook_id),
            )
        return playbook.model_copy(update={"title": title, "body": body, "macro": macro, "updated_at": now})

    def delete(self, playbook: SimulatedPlaybook) -> None:
        """Remove a playbook."""
        with self._store.writing() as store:
            store.execute("DELETE FROM playbooks WHERE playbook_id = ?", (playbook.playbook_id,))

    def _rows(self, condition: str, *values: object) -> list[SimulatedPlaybook]:
        found = self._store.rows(f"SELECT * FROM playbooks WHERE org_id = ? {condition}", values)
        return [SimulatedPlaybook.model_validate(dict(row)) for row in found]
