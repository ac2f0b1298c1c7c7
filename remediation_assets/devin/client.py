"""The Devin API as the pipeline sees it: one method for each thing we do with it.

Version-neutral: methods take and give our own types. How often a request may be sent is decided in
`connection`, what the wire looks like in `v3`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import SecretStr

from . import v3
from .answers import as_json, unread
from .connection import Connection, Params
from .errors import Forbidden, RefusedRequest, Unavailable
from .types import PROMPT_LIMIT, DevinSession, Identity, Message, Playbook

Parsed = TypeVar("Parsed")

SCHEMA_LIMIT = 64 * 1024  # bytes of JSON
TAGS_LIMIT = 50


class DevinClient:
    """A connection to one organisation's Devin; use it as an async context manager, in one event loop."""

    def __init__(
        self,
        *,
        api_key: SecretStr,
        origin: str,
        org_id: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare a client; without `org_id` the API is asked for it when it is first needed."""
        self._connection = Connection(api_key, origin, transport)
        self._origin = origin
        self._org_id = org_id

    def __repr__(self) -> str:
        """Show where it connects to, never the key."""
        return f"DevinClient(origin={self._origin!r}, org_id={self._org_id!r})"

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

    async def who_am_i(self) -> Identity:
        """Ask whom the key belongs to; the cheapest test of a key."""
        return await self._connection.repeatable("GET", v3.SELF, as_json(v3.identity))

    async def org_id(self) -> str:
        """Give the organisation: the configured one, else the key's own; Forbidden where it has none."""
        if not self._org_id:
            identity = await self.who_am_i()
            if not identity.org_id:
                words = "the key is bound to no single organisation; set DEVIN_ORG_ID"
                raise Forbidden("GET", v3.SELF, None, words)
            self._org_id = identity.org_id
        return self._org_id

    async def create_session(
        self,
        *,
        prompt: str,
        title: str | None = None,
        tags: Sequence[str] = (),
        playbook_id: str | None = None,
        repos: Sequence[str] = (),
        secret_ids: Sequence[str] = (),
        knowledge_ids: Sequence[str] = (),
        max_acu_limit: int | None = None,
        structured_output_schema: Mapping[str, Any] | None = None,
        deadline_seconds: float = 30.0,
    ) -> DevinSession:
        """Start a session; the request is sent at most once, and given up after the deadline.

        Raises OutcomeUnknown when it may have worked, RefusedRequest when it never will, AccountProblem
        or NotFound when the account cannot now. Unavailable comes only from asking for the organisation
        first: nothing was sent then.
        """
        body: dict[str, Any] = {
            "prompt": prompt,
            "tags": list(tags),
            # Always sent: the API takes a missing list for "all there are", [] for none.
            "repos": list(repos),
            "secret_ids": list(secret_ids),
            "knowledge_ids": list(knowledge_ids),
        }
        optional = {
            "title": title,
            "playbook_id": playbook_id,
            "max_acu_limit": max_acu_limit,
            "structured_output_schema": structured_output_schema,
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        _check_limits(body)
        until = asyncio.get_running_loop().time() + deadline_seconds
        try:
            async with asyncio.timeout_at(until):
                path = await self._under_organisation("/sessions")
        except TimeoutError:
            raise Unavailable("GET", v3.SELF, None, "no answer before the deadline") from None
        return await self._connection.post_once(path, as_json(v3.session), body, until)

    async def get_session(self, session_id: str) -> DevinSession:
        """Look at one session."""
        path = await self._under_organisation(v3.session_path(session_id))
        return await self._connection.repeatable("GET", path, as_json(v3.session))

    def list_sessions(self, *, tags: Sequence[str]) -> AsyncIterator[DevinSession]:
        """Go through all sessions with the tags, page by page.

        Whether several tags mean all or any of them is not documented: give one, and compare the
        answer's tags. An error in the middle means that the list is not complete.
        """
        return self._pages("/sessions", v3.session, {"tags": list(tags)})

    def list_messages(self, session_id: str) -> AsyncIterator[Message]:
        """Go through a session's conversation, oldest first."""
        return self._pages(f"{v3.session_path(session_id)}/messages", v3.message, {})

    async def send_message(self, session_id: str, message: str) -> None:
        """Say something to a session; this wakes one that sleeps, and renews its ACU limit."""
        path = await self._under_organisation(f"{v3.session_path(session_id)}/messages")
        await self._connection.post(path, unread, {"message": message})

    async def terminate_session(self, session_id: str) -> None:
        """End a session for ever and free its slot; NotFound means that it had ended already."""
        path = await self._under_organisation(v3.session_path(session_id))
        await self._connection.repeatable("DELETE", path, unread)

    async def archive_session(self, session_id: str) -> None:
        """Put a session to sleep and out of sight; doing it twice does no harm."""
        path = await self._under_organisation(f"{v3.session_path(session_id)}/archive")
        await self._connection.repeatable("POST", path, unread)

    async def update_tags(self, session_id: str, tags: Sequence[str]) -> None:
        """Replace a session's tags."""
        path = await self._under_organisation(f"{v3.session_path(session_id)}/tags")
        await self._connection.repeatable("PUT", path, unread, body={"tags": list(tags)})

    async def create_playbook(self, *, title: str, body: str) -> Playbook:
        """Add a playbook to the organisation's; OutcomeUnknown when it may have worked."""
        path = await self._under_organisation("/playbooks")
        return await self._connection.post(path, as_json(v3.playbook), {"title": title, "body": body})

    def list_playbooks(self) -> AsyncIterator[Playbook]:
        """Go through the organisation's playbooks."""
        return self._pages("/playbooks", v3.playbook, {})

    async def _under_organisation(self, path: str) -> str:
        return v3.organisation_path(await self.org_id()) + path

    async def _pages(self, under: str, parse: Callable[[Any], Parsed], filters: Params) -> AsyncIterator[Parsed]:
        path = await self._under_organisation(under)

        def read(body: Any) -> tuple[list[Parsed], str | None]:
            items, cursor = v3.page(body)
            return [parse(item) for item in items], cursor

        seen: set[str] = set()
        params: dict[str, Any] = {**filters, "first": v3.PAGE_SIZE}
        while True:
            items, cursor = await self._connection.repeatable("GET", path, as_json(read), params=params)
            for item in items:
                yield item
            if cursor is None:
                return
            if cursor in seen:
                raise Unavailable("GET", path, None, "the list's cursor repeats, so its end is never reached")
            seen.add(cursor)
            params["after"] = cursor


def _check_limits(body: Mapping[str, Any]) -> None:
    schema = len(json.dumps(body.get("structured_output_schema"), default=str))
    limits = {
        f"the prompt must be shorter than {PROMPT_LIMIT} characters": len(body["prompt"]) < PROMPT_LIMIT,
        f"the structured output schema may have {SCHEMA_LIMIT} bytes": schema <= SCHEMA_LIMIT,
        f"a session may have {TAGS_LIMIT} tags": len(body["tags"]) <= TAGS_LIMIT,
    }
    broken = [words for words, kept in limits.items() if not kept]
    if broken:
        raise RefusedRequest("POST", "sessions", None, f"not sent: {'; '.join(broken)}")
