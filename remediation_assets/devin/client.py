"""The Devin API as the pipeline sees it: one method for each thing we do with it.

Version-neutral: methods take and give our own types. How often a request may be sent is decided in
`connection`, what the wire looks like in `v1` and `v3`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Required, Self, TypedDict, Unpack

import httpx
from pydantic import SecretStr

from . import v1, v3
from .answers import as_json, unread
from .connection import Connection, encoded
from .errors import DevinError, Forbidden, OutcomeUnknown, RefusedRequest, Unavailable
from .fields import playbook
from .types import PROMPT_LIMIT, DevinSession, Identity, Message, Playbook
from .wire import Wire

Version = Literal["v1", "v3"]

SCHEMA_LIMIT = 64 * 1024  # bytes of JSON
TAGS_LIMIT = 50


class Creation(TypedDict, total=False):
    """What a session is created with; only the prompt is required."""

    prompt: Required[str]
    title: str | None
    tags: Sequence[str]
    playbook_id: str | None
    repos: Sequence[str]
    secret_ids: Sequence[str]
    knowledge_ids: Sequence[str]
    max_acu_limit: int | None
    structured_output_schema: Mapping[str, Any] | None


class DevinClient:
    """A connection to one organisation's Devin; use it as an async context manager, in one event loop."""

    def __init__(
        self,
        *,
        api_key: SecretStr,
        origin: str,
        version: Version = "v3",
        org_id: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare a client; without `org_id`, v3 is asked for it when it is first needed."""
        self._connection = Connection(api_key, origin, transport)
        self._origin = origin
        self._version = version
        self._org_id = org_id
        self._known_wire: Wire | None = None

    def __repr__(self) -> str:
        """Show where it connects to, never the key."""
        return f"DevinClient(origin={self._origin!r}, version={self._version!r}, org_id={self._org_id!r})"

    async def __aenter__(self) -> Self:
        """Give the client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()

    @property
    def can_archive(self) -> bool:
        """Say whether `archive_session` works: v1 has no archive."""
        return self._version == "v3"

    async def who_am_i(self) -> Identity:
        """Test the key, the cheapest way there is; v3 also tells whom it belongs to."""
        ask = v1.who_am_i if self._version == "v1" else v3.who_am_i
        return await ask(self._connection)

    async def org_id(self) -> str:
        """Give the organisation: the configured one, else on v3 the key's own, else "".

        Forbidden where a v3 key is bound to no single one: v3 cannot be used without.
        """
        if not self._org_id and self._version == "v3":
            identity = await self.who_am_i()
            if not identity.org_id:
                words = "the key is bound to no single organisation; set DEVIN_ORG_ID"
                raise Forbidden("GET", v3.SELF, None, words)
            self._org_id = identity.org_id
        return self._org_id

    async def create_session(self, *, deadline_seconds: float = 30.0, **wanted: Unpack[Creation]) -> DevinSession:
        """Start a session; the request is sent at most once, and given up after the deadline.

        Raises OutcomeUnknown when it may have worked, RefusedRequest when it never will, AccountProblem
        or NotFound when the account cannot now. Unavailable comes only from asking for the organisation
        first: nothing was sent then. Where the API answers with an older session of the same prompt
        (v1 does), it is given only if it has all the tags; else the request counts as refused.
        """
        body, tags = creation_body(self._version, **wanted), wanted.get("tags", ())
        until = asyncio.get_running_loop().time() + deadline_seconds
        try:
            async with asyncio.timeout_at(until):
                wire = await self._wire()
        except TimeoutError:
            raise Unavailable("GET", v3.SELF, None, "no answer before the deadline") from None
        path = wire.sessions_path
        session, is_new = await self._connection.post_once(path, as_json(wire.read_created), body, until)
        return session if is_new else await self._recognised(session.session_id, path, tags, until)

    async def _recognised(self, session_id: str, path: str, tags: Sequence[str], until: float) -> DevinSession:
        """Look at the older session that a creation was answered with, and say whether it is the one meant."""
        try:
            async with asyncio.timeout_at(until):
                session = await self.get_session(session_id)
        except (DevinError, TimeoutError) as error:
            words = f"answered with the older session {session_id}, which cannot be looked at: {error}"
            raise OutcomeUnknown("POST", path, 200, words) from None
        if tags and not session.tags:
            words = f"answered with {session_id}, whose tags are not told"
            raise OutcomeUnknown("POST", path, 200, words)
        if not set(tags) <= set(session.tags):
            words = f"answered with {session_id}, an older session of the same prompt and other tags"
            raise RefusedRequest("POST", path, 200, words)
        return session

    async def get_session(self, session_id: str) -> DevinSession:
        """Look at one session."""
        wire = await self._wire()
        return await self._connection.repeatable("GET", wire.session_path(session_id), as_json(wire.read_session))

    async def list_sessions(self, *, tags: Sequence[str]) -> AsyncIterator[DevinSession]:
        """Go through all sessions with the tags, page by page.

        Whether several tags mean all or any of them is not documented: give one, and compare the
        answer's tags. An error in the middle means that the list is not complete.
        """
        async for session in (await self._wire()).list_sessions(tags):
            yield session

    async def list_messages(self, session_id: str) -> AsyncIterator[Message]:
        """Go through a session's conversation, oldest first."""
        async for message in (await self._wire()).list_messages(session_id):
            yield message

    async def send_message(self, session_id: str, message: str) -> None:
        """Say something to a session; this wakes one that sleeps, and renews its ACU limit."""
        path = (await self._wire()).message_path(session_id)
        await self._connection.post(path, unread, {"message": message})

    async def terminate_session(self, session_id: str) -> None:
        """End a session for ever and free its slot; NotFound means that it had ended already."""
        path = (await self._wire()).session_path(session_id)
        await self._connection.repeatable("DELETE", path, unread)

    async def archive_session(self, session_id: str) -> None:
        """Put a session to sleep and out of sight, where `can_archive`; doing it twice does no harm."""
        path = (await self._wire()).archive_path(session_id)
        await self._connection.repeatable("POST", path, unread)

    async def create_playbook(self, *, title: str, body: str) -> Playbook:
        """Add a playbook to the organisation's; OutcomeUnknown when it may have worked."""
        path = (await self._wire()).playbooks_path
        return await self._connection.post(path, as_json(playbook), {"title": title, "body": body})

    async def list_playbooks(self) -> AsyncIterator[Playbook]:
        """Go through the organisation's playbooks."""
        async for found in (await self._wire()).list_playbooks():
            yield found

    async def _wire(self) -> Wire:
        if self._known_wire is None:
            self._known_wire = (
                v1.V1(self._connection) if self._version == "v1" else v3.V3(self._connection, await self.org_id())
            )
        return self._known_wire


def creation_body(version: Version, **wanted: Unpack[Creation]) -> dict[str, Any]:
    """Make the JSON body that creates a session, as it goes over the wire; RefusedRequest where it cannot be taken."""
    # Lists are always sent: the API takes a missing one for "all there are", [] for none.
    body: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None} | {
        "tags": list(wanted.get("tags", ())),
        "repos": list(wanted.get("repos", ())),
        "secret_ids": list(wanted.get("secret_ids", ())),
        "knowledge_ids": list(wanted.get("knowledge_ids", ())),
    }
    _check_limits(body)
    return (v1.V1 if version == "v1" else v3.V3).session_request(body)


def _check_limits(body: Mapping[str, Any]) -> None:
    schema = len(encoded("POST", "sessions", body.get("structured_output_schema") or {}))
    limits = {
        f"the prompt must be shorter than {PROMPT_LIMIT} characters": len(body["prompt"]) < PROMPT_LIMIT,
        f"the structured output schema may have {SCHEMA_LIMIT} bytes": schema <= SCHEMA_LIMIT,
        f"a session may have {TAGS_LIMIT} tags": len(body["tags"]) <= TAGS_LIMIT,
    }
    broken = [words for words, kept in limits.items() if not kept]
    if broken:
        raise RefusedRequest("POST", "sessions", None, f"not sent: {'; '.join(broken)}")
