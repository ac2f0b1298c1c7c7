"""The v3 wire: paths under an organisation, lists by cursor, times in unix seconds."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .errors import Unavailable
from .fields import (
    UNKNOWN_TIME,
    identifier,
    list_of,
    moment,
    number,
    object_of,
    playbook,
    segment,
    session_page,
    session_segment,
    text,
    texts,
)
from .responses import Malformed, as_json
from .transport import Connection
from .types import DevinSession, Identity, Message, Playbook, PullRequest

Item = TypeVar("Item")

SELF = "/v3/self"
PAGE_SIZE = 200  # the most that v3 allows
MOST_EMPTY_PAGES = 10
MOST_PAGES = 5_000  # a million sessions under one tag are a list without an end


async def who_am_i(connection: Connection) -> Identity:
    """Return whom the key belongs to."""
    return await connection.send_idempotent("GET", SELF, as_json(_read_identity))


class V3:
    """The v3 API of one organisation."""

    def __init__(self, connection: Connection, org_id: str) -> None:
        self._connection = connection
        self._organisation = f"/v3/organizations/{segment(org_id)}"
        self.sessions_path = f"{self._organisation}/sessions"
        self.playbooks_path = f"{self._organisation}/playbooks"

    def session_path(self, session_id: str) -> str:
        """Return the path of one session."""
        return f"{self.sessions_path}/{session_segment(session_id)}"

    def message_path(self, session_id: str) -> str:
        """Return the path at which messages to a session are sent, and listed."""
        return f"{self.session_path(session_id)}/messages"

    def archive_path(self, session_id: str) -> str:
        """Return the API path for a request that archives a session."""
        return f"{self.session_path(session_id)}/archive"

    @staticmethod
    def session_request(fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of a create request; v3 has no idempotency field."""
        return dict(fields)

    def read_created(self, body: Any) -> tuple[DevinSession, bool]:
        """Read the answer to a create request; v3 always creates a new session."""
        return self.read_session(body), True

    def read_session(self, body: Any) -> DevinSession:
        """Read a session; only its id is required."""
        fields = object_of(body, "a session")
        session_id = identifier(fields, "session_id")
        created_at = moment(fields.get("created_at")) or UNKNOWN_TIME
        return DevinSession(
            session_id=session_id,
            url=session_page(session_id, fields.get("url")),
            status=text(fields.get("status")) or "unknown",
            status_detail=text(fields.get("status_detail")),
            pull_requests=tuple(_pull_requests(fields.get("pull_requests"))),
            structured_output=fields.get("structured_output"),
            acus_consumed=number(fields.get("acus_consumed")),
            created_at=created_at,
            updated_at=moment(fields.get("updated_at")) or created_at,
            tags=texts(fields.get("tags")),
            title=text(fields.get("title")),
            is_archived=fields.get("is_archived") is True,
            raw=fields,
        )

    async def list_sessions(self, tags: Sequence[str]) -> AsyncIterator[DevinSession]:
        """Yield all sessions with the tags, each once."""
        # A session created while the pages are read may show up on two of them.
        seen: set[str] = set()
        async for session in self._pages(self.sessions_path, self.read_session, {"tags": list(tags)}):
            if session.session_id not in seen:
                seen.add(session.session_id)
                yield session

    def list_messages(self, session_id: str) -> AsyncIterator[Message]:
        """Yield a session's conversation, oldest first."""
        return self._pages(self.message_path(session_id), _read_message, {})

    def list_playbooks(self) -> AsyncIterator[Playbook]:
        """Yield the organisation's playbooks."""
        return self._pages(self.playbooks_path, playbook, {})

    async def _pages(
        self, path: str, read_item: Callable[[Any], Item], filters: Mapping[str, Any]
    ) -> AsyncIterator[Item]:
        # A list is whole or an error, for what is missing in it counts as not existing: a page whose cursor
        # is missing raises Malformed, and one that cannot be read ends the list with Unavailable. Filters are
        # sent again with each cursor; nothing documents that a cursor remembers them. A cursor that comes
        # twice, empty pages in a row and a bound on all pages each end a list that would never end: the poll
        # that reads it holds the lock that all progress needs.
        def read(body: Any) -> tuple[list[Item], str | None]:
            items, cursor = _read_page(body)
            return [read_item(item) for item in items], cursor

        seen: set[str] = set()
        empty = 0
        params: dict[str, Any] = {**filters, "first": PAGE_SIZE}
        while True:
            items, cursor = await self._connection.send_idempotent("GET", path, as_json(read), params=params)
            for item in items:
                yield item
            if cursor is None:
                return
            empty = 0 if items else empty + 1
            if cursor in seen or empty > MOST_EMPTY_PAGES or len(seen) > MOST_PAGES:
                detail = "the list's cursor repeats, or its pages never end, so its end is never reached"
                raise Unavailable("GET", path, None, detail)
            seen.add(cursor)
            params["after"] = cursor


def _read_identity(body: Any) -> Identity:
    fields = object_of(body, "an identity")
    names = (text(fields.get(key)) for key in ("service_user_name", "api_key_name", "user_name"))
    return Identity(
        principal_type=text(fields.get("principal_type")) or "unknown",
        org_id=text(fields.get("org_id")) or None,
        name=next((name for name in names if name), None),
    )


def _read_message(body: Any) -> Message:
    fields = object_of(body, "a message")
    return Message(
        source=text(fields.get("source")) or "unknown",
        text=text(fields.get("message")) or "",
        created_at=moment(fields.get("created_at")),
    )


def _read_page(body: Any) -> tuple[list[Any], str | None]:
    """Read a page: its items, and the cursor of the next page or None after the last.

    A page that announces a next page without its cursor raises Malformed, for the missing items may matter. A
    bare list counts as complete only if it is shorter than a page.
    """
    if isinstance(body, list) and len(body) < PAGE_SIZE:
        return body, None
    fields = object_of(body, "a page")
    items, cursor, more = fields.get("items"), fields.get("end_cursor"), fields.get("has_next_page")
    if not isinstance(items, list):
        raise Malformed("expected a page with a list of items")
    if not (more if isinstance(more, bool) else cursor is not None):
        return items, None
    if not isinstance(cursor, str) or not cursor:
        raise Malformed("the page says that more follow, but gives no cursor to them")
    return items, cursor


def _pull_requests(value: Any) -> Iterator[PullRequest]:
    for entry in list_of(value):
        url = text(entry.get("pr_url")) if isinstance(entry, dict) else None
        if url:
            yield PullRequest(url=url, state=text(entry.get("pr_state")))
