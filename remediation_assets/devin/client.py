"""The Devin API as the pipeline sees it: one method for each kind of request.

Version-neutral: methods take and return our own types. How often a request may be sent is decided in
`connection`, what the wire looks like in `v1` and `v3`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Required, Self, TypedDict, Unpack

import httpx
from pydantic import SecretStr

from . import v1, v3
from .errors import DevinError, Forbidden, OutcomeUnknown, RefusedRequest, Unavailable
from .fields import playbook
from .protocol import WireProtocol
from .responses import as_json, ignore_body
from .transport import Connection, encoded
from .types import PROMPT_LIMIT, DevinSession, Identity, Message, Playbook

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
        """Prepare a client; without `org_id`, the client asks v3 for the organisation when it first needs one.

        `transport` replaces the network, for example with the simulator in this process.
        """
        self._connection = Connection(api_key, origin, transport)
        self._origin = origin
        self._version = version
        self._org_id = org_id
        self._known_wire: WireProtocol | None = None

    def __repr__(self) -> str:
        """Return where the client connects to, never the key."""
        return f"DevinClient(origin={self._origin!r}, version={self._version!r}, org_id={self._org_id!r})"

    async def __aenter__(self) -> Self:
        """Return the client itself."""
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
        """Whether `archive_session` works: v1 has no archive."""
        return self._version == "v3"

    async def who_am_i(self) -> Identity:
        """Test the key in the cheapest way; only v3 says whom it belongs to."""
        ask = v1.who_am_i if self._version == "v1" else v3.who_am_i
        return await ask(self._connection)

    async def org_id(self) -> str:
        """Return the organisation: the configured one, or else the key's own on v3 and "" on v1.

        Raise Forbidden if a v3 key is not bound to a single organisation: v3 cannot be used without one.
        """
        if not self._org_id and self._version == "v3":
            identity = await self.who_am_i()
            if not identity.org_id:
                detail = "the key is not bound to a single organisation; set DEVIN_ORG_ID"
                raise Forbidden("GET", v3.SELF, None, detail)
            self._org_id = identity.org_id
        return self._org_id

    async def create_session(self, *, deadline_seconds: float = 30.0, **fields: Unpack[Creation]) -> DevinSession:
        """Create a session; the request is sent at most once, and abandoned at the deadline.

        Raise OutcomeUnknown if the session may have been created, RefusedRequest if the request will always
        fail, AccountProblem or NotFound if the account cannot create a session now. Unavailable is raised only
        if the organisation cannot be looked up, before the request is sent. If the API answers with an older
        session of the same prompt, as v1 does, that session is returned only if it has all the tags; otherwise
        the request counts as refused.
        """
        body, tags = creation_body(self._version, **fields), fields.get("tags", ())
        # One deadline for all requests of a creation: a caller plans with the total, not with the number.
        deadline = asyncio.get_running_loop().time() + deadline_seconds
        try:
            async with asyncio.timeout_at(deadline):
                wire = await self._wire()
        except TimeoutError:
            raise Unavailable("GET", v3.SELF, None, "no answer before the deadline") from None
        path = wire.sessions_path
        session, is_new = await self._connection.post_once(path, as_json(wire.read_created), body, deadline)
        if is_new:
            return session
        return await self._existing_session(session.session_id, tags, path, deadline)

    async def _existing_session(self, session_id: str, tags: Sequence[str], path: str, deadline: float) -> DevinSession:
        """Return the older session that a create request was answered with, if it has the tags of the request."""
        # v1 compares prompts only. Adopting a session by that alone could take over one of another attempt,
        # or of a person; so its tags decide, and what cannot be read leaves the outcome unknown.
        try:
            async with asyncio.timeout_at(deadline):
                session = await self.get_session(session_id)
        except (DevinError, TimeoutError) as error:
            detail = f"answered with the older session {session_id}, which cannot be read: {error}"
            raise OutcomeUnknown("POST", path, 200, detail) from None
        if tags and not session.tags:
            detail = f"answered with {session_id}, whose tags the API does not show"
            raise OutcomeUnknown("POST", path, 200, detail)
        if not set(tags) <= set(session.tags):
            detail = f"answered with {session_id}, an older session with the same prompt and other tags"
            raise RefusedRequest("POST", path, 200, detail)
        return session

    async def get_session(self, session_id: str) -> DevinSession:
        """Return one session; raise NotFound if there is none of this id."""
        wire = await self._wire()
        return await self._connection.send_idempotent("GET", wire.session_path(session_id), as_json(wire.read_session))

    async def list_sessions(self, *, tags: Sequence[str]) -> AsyncIterator[DevinSession]:
        """Yield all sessions with the tags, page by page.

        It is not documented whether a session needs all of several tags or any of them: pass one tag, and compare
        the tags of the sessions. An error between two pages means that the list is not complete.
        """
        async for session in (await self._wire()).list_sessions(tags):
            yield session

    async def list_messages(self, session_id: str) -> AsyncIterator[Message]:
        """Yield a session's conversation, oldest first."""
        async for message in (await self._wire()).list_messages(session_id):
            yield message

    async def send_message(self, session_id: str, message: str) -> None:
        """Send a message to a session; the message resumes a suspended session and renews the session's ACU limit."""
        path = (await self._wire()).message_path(session_id)
        await self._connection.post(path, ignore_body, {"message": message})

    async def terminate_session(self, session_id: str) -> None:
        """Terminate a session for good and free its slot; NotFound means that it has ended already."""
        path = (await self._wire()).session_path(session_id)
        await self._connection.send_idempotent("DELETE", path, ignore_body)

    async def archive_session(self, session_id: str) -> None:
        """Suspend a session and hide it, if `can_archive`; doing so twice does no harm."""
        path = (await self._wire()).archive_path(session_id)
        await self._connection.send_idempotent("POST", path, ignore_body)

    async def create_playbook(self, *, title: str, body: str) -> Playbook:
        """Add a playbook to the organisation; raise OutcomeUnknown if it may have been added."""
        path = (await self._wire()).playbooks_path
        return await self._connection.post(path, as_json(playbook), {"title": title, "body": body})

    async def list_playbooks(self) -> AsyncIterator[Playbook]:
        """Yield the organisation's playbooks."""
        async for found in (await self._wire()).list_playbooks():
            yield found

    async def _wire(self) -> WireProtocol:
        if self._known_wire is None:
            self._known_wire = (
                v1.V1(self._connection) if self._version == "v1" else v3.V3(self._connection, await self.org_id())
            )
        return self._known_wire


def creation_body(version: Version, **fields: Unpack[Creation]) -> dict[str, Any]:
    """Return the JSON body that creates a session; raise RefusedRequest if the API cannot take it."""
    # Lists are always sent, empty ones too. To the API a missing list of secrets or knowledge means all that
    # the organisation has, and a session that reads untrusted code must not get them by omission.
    body: dict[str, Any] = {name: value for name, value in fields.items() if value is not None} | {
        "tags": list(fields.get("tags", ())),
        "repos": list(fields.get("repos", ())),
        "secret_ids": list(fields.get("secret_ids", ())),
        "knowledge_ids": list(fields.get("knowledge_ids", ())),
    }
    _check_limits(body)
    return (v1.V1 if version == "v1" else v3.V3).session_request(body)


def _check_limits(body: Mapping[str, Any]) -> None:
    # The API would refuse these with 400 or 422; refusing them here sends nothing and says what is too long.
    schema = len(encoded("POST", "sessions", body.get("structured_output_schema") or {}))
    limits = {
        f"the prompt must be shorter than {PROMPT_LIMIT} characters": len(body["prompt"]) < PROMPT_LIMIT,
        f"the structured output schema may have at most {SCHEMA_LIMIT} bytes": schema <= SCHEMA_LIMIT,
        f"a session may have at most {TAGS_LIMIT} tags": len(body["tags"]) <= TAGS_LIMIT,
    }
    broken = [limit for limit, is_kept in limits.items() if not is_kept]
    if broken:
        raise RefusedRequest("POST", "sessions", None, f"not sent: {'; '.join(broken)}")
