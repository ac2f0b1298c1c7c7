"""The v1 wire: flat paths, lists by offset, times in ISO form.

It tells neither ACUs nor an organisation, has no archive, and knows one pull request per session.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from .answers import Malformed, as_json
from .connection import Connection, Params
from .errors import RefusedRequest, Unavailable
from .fields import (
    NOT_TOLD,
    identifier,
    list_of,
    moment,
    object_of,
    playbook,
    session_page,
    session_segment,
    text,
    texts,
)
from .types import DevinSession, Identity, Message, Playbook, PullRequest

PAGE_SIZE = 100  # v1's default; its maximum is not documented


async def who_am_i(connection: Connection) -> Identity:
    """Test the key on the shortest list; v1 has no request that tells whose it is."""
    await connection.repeatable("GET", V1.sessions_path, as_json(_read_list), params={"limit": 1})
    return Identity(principal_type="unknown", org_id=None, name=None)


class V1:
    """The v1 API, whose key decides the organisation."""

    sessions_path = "/v1/sessions"
    playbooks_path = "/v1/playbooks"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def session_path(self, session_id: str) -> str:
        """Where one session is."""
        return f"{self.sessions_path}/{session_segment(session_id)}"

    def message_path(self, session_id: str) -> str:
        """Where messages to a session are sent."""
        return f"{self.session_path(session_id)}/message"

    def archive_path(self, session_id: str) -> str:
        """Refuse: v1 cannot archive."""
        words = "v1 cannot archive sessions; terminate it"
        raise RefusedRequest("POST", self.session_path(session_id), None, words)

    @staticmethod
    def session_request(wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Make a creation's body: v1 has no `repos`, and can recognise a prompt that it had before."""
        return {name: value for name, value in wanted.items() if name != "repos"} | {"idempotent": True}

    def read_created(self, body: Any) -> tuple[DevinSession, bool]:
        """Read a creation's answer, which is little more than an id."""
        # We always ask for recognition, so a new session is said to be new; silence proves nothing.
        return self.read_session(body), object_of(body, "a session").get("is_new_session") is True

    def read_session(self, body: Any) -> DevinSession:
        """Read a session; only its id is indispensable.

        Detail is `status_enum`, the word that tells most; where it is missing, `status` is taken for it.
        """
        fields = object_of(body, "a session")
        session_id = identifier(fields, "session_id")
        created_at = moment(fields.get("created_at")) or NOT_TOLD
        pull_request = fields.get("pull_request")
        link = text(pull_request.get("url")) if isinstance(pull_request, dict) else None
        status = text(fields.get("status"))
        return DevinSession(
            session_id=session_id,
            url=session_page(session_id, fields.get("url")),
            status=status or "unknown",
            status_detail=text(fields.get("status_enum")) or status,
            pull_requests=(PullRequest(url=link, state=None),) if link else (),
            structured_output=fields.get("structured_output"),
            acus_consumed=None,
            created_at=created_at,
            updated_at=moment(fields.get("updated_at")) or created_at,
            tags=texts(fields.get("tags")),
            title=text(fields.get("title")),
            is_archived=False,
            raw=fields,
        )

    async def list_sessions(self, tags: Sequence[str]) -> AsyncIterator[DevinSession]:
        """Go through all sessions with the tags, each once.

        The list is newest first, so a creation meanwhile moves all others on, and the last of a page
        comes again as the first of the next. v1 does not say whether more follow. So one more than a
        page is asked for: where it comes, more follow. A page without it is the last only if it is
        short, or if the server has given one more before; else it may cap its pages at that, and the next
        tells. Where one more came, the next page must begin with what is known: else something has left
        the list meanwhile, and something else has moved to where nobody looked.
        """

        def read(body: Any) -> list[DevinSession]:
            return [self.read_session(item) for item in _read_list(body)]

        asked, gives_more, offset = PAGE_SIZE + 1, False, 0
        seen: set[str] = set()
        while True:
            params: Params = {"tags": list(tags), "limit": asked, "offset": offset}
            try:
                found = await self._connection.repeatable("GET", self.sessions_path, as_json(read), params=params)
            except RefusedRequest:
                if asked == PAGE_SIZE:
                    raise
                asked, gives_more = PAGE_SIZE, False
                continue
            if gives_more and offset and not (found and found[0].session_id in seen):
                raise Unavailable("GET", self.sessions_path, None, "the list moved while it was read; read it again")
            gives_more = gives_more or len(found) > PAGE_SIZE
            new = {session.session_id: session for session in found if session.session_id not in seen}
            for session in new.values():
                yield session
            if len(found) < PAGE_SIZE or (gives_more and len(found) == PAGE_SIZE):
                return
            if not new:
                words = "the list repeats a page, so its end is never reached"
                raise Unavailable("GET", self.sessions_path, None, words)
            seen |= set(new)
            offset += PAGE_SIZE

    async def list_messages(self, session_id: str) -> AsyncIterator[Message]:
        """Go through a session's conversation, which v1 tells with the session."""
        path = self.session_path(session_id)
        for message in await self._connection.repeatable("GET", path, as_json(_read_messages)):
            yield message

    async def list_playbooks(self) -> AsyncIterator[Playbook]:
        """Go through the organisation's playbooks, which v1 gives all at once."""

        def read(body: Any) -> list[Playbook]:
            return [playbook(item) for item in _read_list(body)]

        for item in await self._connection.repeatable("GET", self.playbooks_path, as_json(read)):
            yield item


def _read_list(body: Any) -> list[Any]:
    """Read a list that stands alone or under the one name it may have."""
    if isinstance(body, dict):
        body = body.get("sessions", body.get("playbooks"))
    if not isinstance(body, list):
        raise Malformed("expected a list")
    return body


def _read_messages(body: Any) -> list[Message]:
    told = [entry for entry in list_of(object_of(body, "a session").get("messages")) if isinstance(entry, dict)]
    return [
        Message(
            source=_source(text(entry.get("type")) or "unknown"),
            text=text(entry.get("message")) or "",
            created_at=moment(entry.get("timestamp")),
        )
        for entry in told
    ]


def _source(kind: str) -> str:
    """Say who spoke: `devin_message`, `user_message` and `initial_user_message` have been seen."""
    return "devin" if kind.startswith("devin") else "user" if "user" in kind else kind
