"""The v1 wire: flat paths, lists by offset, times in ISO form.

v1 reports neither ACUs nor an organisation, has no archive, and has one pull request per session.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from .errors import RefusedRequest, Unavailable
from .fields import (
    UNKNOWN_TIME,
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
from .responses import Malformed, as_json
from .transport import Connection, Params
from .types import DevinSession, Identity, Message, Playbook, PullRequest

PAGE_SIZE = 100  # v1's default; its maximum is not documented


async def who_am_i(connection: Connection) -> Identity:
    """Test the key with the shortest list; v1 has no request that names the owner of a key."""
    await connection.send_idempotent("GET", V1.sessions_path, as_json(_read_list), params={"limit": 1})
    return Identity(principal_type="unknown", org_id=None, name=None)


class V1:
    """The v1 API, in which the key decides the organisation."""

    sessions_path = "/v1/sessions"
    playbooks_path = "/v1/playbooks"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def session_path(self, session_id: str) -> str:
        """Return the path of one session."""
        return f"{self.sessions_path}/{session_segment(session_id)}"

    def message_path(self, session_id: str) -> str:
        """Return the path that messages to a session are sent to."""
        return f"{self.session_path(session_id)}/message"

    def archive_path(self, session_id: str) -> str:
        """Raise RefusedRequest: v1 cannot archive."""
        detail = "v1 cannot archive sessions; terminate it instead"
        raise RefusedRequest("POST", self.session_path(session_id), None, detail)

    @staticmethod
    def session_request(fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of a create request: v1 has no `repos`, but can recognise an earlier prompt."""
        # With `idempotent`, v1 answers a repeated prompt with the session it already has. Our prompts name
        # the ledger and the attempt, so an equal prompt is the same attempt sent again.
        return {name: value for name, value in fields.items() if name != "repos"} | {"idempotent": True}

    def read_created(self, body: Any) -> tuple[DevinSession, bool]:
        """Read the answer to a create request, which is little more than an id."""
        # We always ask for `idempotent`, so v1 says of a new session that it is new; silence proves nothing.
        return self.read_session(body), object_of(body, "a session").get("is_new_session") is True

    def read_session(self, body: Any) -> DevinSession:
        """Read a session; only its id is required.

        `status_detail` is v1's `status_enum`, the more precise of its two words, or `status` if it is missing.
        """
        fields = object_of(body, "a session")
        session_id = identifier(fields, "session_id")
        created_at = moment(fields.get("created_at")) or UNKNOWN_TIME
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
        """Yield all sessions with the tags, each once; raise Unavailable if the list may be incomplete.

        v1 pages by offset over a list that is newest first and changes while it is read, and it does not say
        whether another page follows. If a session is missing here, the caller assumes that it does not
        exist and may create it a second time; so an incomplete list must be an error.
        """
        # - The list ends where that is certain. Each request asks for one session more than a page: if it
        #   comes, another page follows. Without it, a page is the last one only if it is short, or if this
        #   server has returned more than a page before; otherwise the server may cap its pages at PAGE_SIZE,
        #   and the next request decides. (Taking every full page for the last would lose the rest; a cap of
        #   less than PAGE_SIZE is not documented and would end the list early.)
        # - New sessions push the others back, so the next page begins with sessions that are known already:
        #   `seen` yields each once. Stopping at the first known one would lose what follows it.
        # - A session that leaves the list pulls the others forward, past the offset, and they are never
        #   read. The one session more than a page is the check: it must come again at the start of the
        #   next page. If it does not, the list moved, and what was yielded cannot be trusted to be whole.
        # - A server that ignores `offset` returns its first page again and again: without the check for new
        #   sessions this loop would have no end.
        limit, returns_more, offset = PAGE_SIZE + 1, False, 0
        seen: set[str] = set()
        while True:
            try:
                page = await self._fetch(tags, limit, offset)
            except RefusedRequest:
                if limit == PAGE_SIZE:
                    raise
                # The server allows no more than a page: go on without the check.
                limit, returns_more = PAGE_SIZE, False
                continue
            if returns_more and offset and not (page and page[0].session_id in seen):
                raise Unavailable("GET", self.sessions_path, None, "the list moved while it was read; read it again")
            returns_more = returns_more or len(page) > PAGE_SIZE
            new = {session.session_id: session for session in page if session.session_id not in seen}
            for session in new.values():
                yield session
            if len(page) < PAGE_SIZE or (returns_more and len(page) == PAGE_SIZE):
                return
            if not new:
                detail = "the list repeats a page, so its end is never reached"
                raise Unavailable("GET", self.sessions_path, None, detail)
            seen |= set(new)
            offset += PAGE_SIZE

    async def _fetch(self, tags: Sequence[str], limit: int, offset: int) -> list[DevinSession]:
        def read(body: Any) -> list[DevinSession]:
            return [self.read_session(item) for item in _read_list(body)]

        params: Params = {"tags": list(tags), "limit": limit, "offset": offset}
        return await self._connection.send_idempotent("GET", self.sessions_path, as_json(read), params=params)

    async def list_messages(self, session_id: str) -> AsyncIterator[Message]:
        """Yield a session's conversation, which v1 returns with the session."""
        path = self.session_path(session_id)
        for message in await self._connection.send_idempotent("GET", path, as_json(_read_messages)):
            yield message

    async def list_playbooks(self) -> AsyncIterator[Playbook]:
        """Yield the organisation's playbooks, which v1 returns all at once."""

        def read(body: Any) -> list[Playbook]:
            return [playbook(item) for item in _read_list(body)]

        for item in await self._connection.send_idempotent("GET", self.playbooks_path, as_json(read)):
            yield item


def _read_list(body: Any) -> list[Any]:
    """Read a list: the body itself, or a field of the body."""
    if isinstance(body, dict):
        body = body.get("sessions", body.get("playbooks"))
    if not isinstance(body, list):
        raise Malformed("expected a list")
    return body


def _read_messages(body: Any) -> list[Message]:
    entries = [entry for entry in list_of(object_of(body, "a session").get("messages")) if isinstance(entry, dict)]
    return [
        Message(
            source=_source(text(entry.get("type")) or "unknown"),
            text=text(entry.get("message")) or "",
            created_at=moment(entry.get("timestamp")),
        )
        for entry in entries
    ]


def _source(kind: str) -> str:
    """Return who sends this kind of message; `devin_message`, `user_message` and `initial_user_message` were seen."""
    return "devin" if kind.startswith("devin") else "user" if "user" in kind else kind
