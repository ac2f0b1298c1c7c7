"""What the client needs of an API version: its paths, and its JSON made into our types."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from .types import DevinSession, Message, Playbook


class Wire(Protocol):
    """One version of the API, as `v1` and `v3` speak it.

    Readers are strict about what identifies a thing and lenient about everything else; a body that
    cannot be used raises Malformed. Lists go through all pages, and an error in the middle means that
    the list is not complete.
    """

    @property
    def sessions_path(self) -> str:
        """Where sessions are created."""

    @property
    def playbooks_path(self) -> str:
        """Where playbooks are created."""

    def session_path(self, session_id: str) -> str:
        """Where one session is."""

    def message_path(self, session_id: str) -> str:
        """Where messages to a session are sent."""

    def archive_path(self, session_id: str) -> str:
        """Where a session is archived; RefusedRequest where it cannot be."""

    def read_created(self, body: Any) -> tuple[DevinSession, bool]:
        """Read a creation's answer: the session, and whether it is new."""

    def read_session(self, body: Any) -> DevinSession:
        """Read a session."""

    def list_sessions(self, tags: Sequence[str]) -> AsyncIterator[DevinSession]:
        """Go through all sessions with the tags, each once."""

    def list_messages(self, session_id: str) -> AsyncIterator[Message]:
        """Go through a session's conversation, oldest first."""

    def list_playbooks(self) -> AsyncIterator[Playbook]:
        """Go through the organisation's playbooks."""
