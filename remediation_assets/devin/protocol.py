"""What the client needs of an API version: the version's paths, and readers of its JSON into our types."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from .types import DevinSession, Message, Playbook


class WireProtocol(Protocol):
    """One version of the API, as `v1` and `v3` implement it.

    Readers are strict about the id of a thing and lenient about everything else; a body that cannot be
    used raises Malformed. Lists go through all pages; after an error, the items yielded so far are not the
    whole list.
    """

    @property
    def sessions_path(self) -> str:
        """Where sessions are created."""

    @property
    def playbooks_path(self) -> str:
        """Where playbooks are created."""

    def session_path(self, session_id: str) -> str:
        """Return the path of one session."""

    def message_path(self, session_id: str) -> str:
        """Return the path that messages to a session are sent to."""

    def archive_path(self, session_id: str) -> str:
        """Return the path that archives a session; raise RefusedRequest if the version cannot."""

    def read_created(self, body: Any) -> tuple[DevinSession, bool]:
        """Read the answer to a create request: the session, and whether it is known to be new."""

    def read_session(self, body: Any) -> DevinSession:
        """Read a session."""

    def list_sessions(self, tags: Sequence[str]) -> AsyncIterator[DevinSession]:
        """Yield all sessions with the tags, each once."""

    def list_messages(self, session_id: str) -> AsyncIterator[Message]:
        """Yield a session's conversation, oldest first."""

    def list_playbooks(self) -> AsyncIterator[Playbook]:
        """Yield the organisation's playbooks."""
