"""One pool of HTTP connections to the API: sends requests, waits, and repeats those that may be repeated.

Which requests may be sent twice is decided here and nowhere else. Paths and bodies come from the client;
every failure is raised as a `DevinError`.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import stamina
from pydantic import SecretStr

from .errors import NotAuthorised, OutcomeUnknown, RateLimited, RefusedRequest, Unavailable
from .responses import Malformed, error_of, parse_json

Parsed = TypeVar("Parsed")
Params = Mapping[str, str | int | Sequence[str]]

# Half a second, one, two, with jitter: a run survives a restart of the API, and a tick of the sensor that
# meets a real outage gives up within seconds and is tried again by the next tick.
ATTEMPTS = 4
SHORTEST_WAIT_SECONDS = 0.5
# A longer wait belongs to the caller, who sets a hold and frees its process instead of sleeping in it.
LONGEST_WAIT_SECONDS = 60.0
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_WHOLE_ANSWER_SECONDS = 60.0
_NO_READ_LIMIT = httpx.Timeout(None, connect=5.0)  # for a request inside a total deadline
# Shorter than servers keep idle connections (uvicorn: 5 s): a POST on a connection that the server is
# closing at that moment is a POST whose outcome nobody knows.
_LIMITS = httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=3.0)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class _NotSent(Unavailable):
    """No connection came about, so nothing was sent."""


@dataclass(frozen=True)
class _Request:
    """A request; `unclear` is the error to raise if nobody knows whether the request was carried out."""

    method: str
    path: str
    unclear: type[Unavailable] | type[OutcomeUnknown]
    params: Params | None = None
    body: Mapping[str, Any] | None = None
    timeout: httpx.Timeout = field(default_factory=lambda: _TIMEOUT)


class Connection:
    """Sends requests with the key; the method's name says how often one may be sent."""

    def __init__(self, api_key: SecretStr, origin: str, transport: httpx.AsyncBaseTransport | None) -> None:
        """Prepare a pool to the origin; nothing is sent yet."""
        self._api_key = api_key
        # Redirects are never followed. A redirected create request is a second sending, or becomes a GET
        # whose 200 looks like an answer; and prompts would go to an address that nobody configured.
        # `error_of` turns a 3xx into an error that names the setting to look at.
        self._http = httpx.AsyncClient(
            base_url=origin, timeout=_TIMEOUT, limits=_LIMITS, follow_redirects=False, transport=transport
        )

    async def aclose(self) -> None:
        """Close the pool."""
        await self._http.aclose()

    async def send_idempotent(
        self,
        method: str,
        path: str,
        read: Callable[[bytes], Parsed],
        *,
        params: Params | None = None,
    ) -> Parsed:
        """Send a request that is harmless when repeated; repeat it on 429, 5xx, lost connections, garbled answers."""
        request = _Request(method, path, Unavailable, params=params)
        async for attempt in _attempts(_worth_repeating):
            with attempt:
                return await self._send(request, read)
        raise AssertionError("the last attempt returns or raises")

    async def post(self, path: str, read: Callable[[bytes], Parsed], body: Mapping[str, Any]) -> Parsed:
        """Send a POST, a second time only if no connection could be made; raise OutcomeUnknown for a lost answer."""
        request = _Request("POST", path, OutcomeUnknown, body=body)
        async for attempt in _attempts(lambda error: isinstance(error, _NotSent)):
            with attempt:
                return await self._send(request, read)
        raise AssertionError("the last attempt returns or raises")

    async def post_once(
        self, path: str, read: Callable[[bytes], Parsed], body: Mapping[str, Any], deadline: float
    ) -> Parsed:
        """Send a POST a single time; without a plain yes or no, raise OutcomeUnknown.

        `deadline` is a time of the event loop's clock.
        """
        # The create request of v3 has no idempotency field, so a second sending is a second session, which
        # costs money and opens a second pull request. Hence no retry of any kind here, and one deadline
        # around connecting, sending and reading: the claim of a caller that is stopped must not have a
        # request under way much longer than the caller believes. httpx's own limits would not do, for they
        # start again with each byte received. After the deadline the request may still be carried out; only
        # a look-up by tag can tell, never the passing of time here.
        request = _Request("POST", path, OutcomeUnknown, body=body, timeout=_NO_READ_LIMIT)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._send(request, read)
        except TimeoutError:
            raise OutcomeUnknown("POST", path, None, "no answer before the deadline") from None
        except _NotSent as error:
            # Nothing was sent, as far as the HTTP library knows. Still unknown: the rule "no plain answer, no
            # conclusion" has no exceptions, and one that is wrong once would be a duplicate session.
            raise OutcomeUnknown("POST", path, None, error.detail) from None

    async def _send(self, request: _Request, read: Callable[[bytes], Parsed]) -> Parsed:
        method, path = request.method, request.path
        headers = {"Authorization": f"Bearer {self._usable_key(method, path)}"}
        content = None if request.body is None else encoded(method, path, request.body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            # httpx's read limit counts for each part of an answer, and an answer may come in endless parts.
            async with asyncio.timeout(_WHOLE_ANSWER_SECONDS):
                answer = await self._http.request(
                    method, path, params=request.params, content=content, headers=headers, timeout=request.timeout
                )
        except _NEVER_SENT as error:
            raise _NotSent(method, path, None, self._reason(error)) from None
        except Exception as error:  # whatever a library raises on a hostile answer
            raise request.unclear(method, path, None, self._reason(error)) from None
        # A server that echoes the key must not bring it into an error, a log or the ledger.
        received = self._without_key(answer.content)
        if not answer.is_success:
            headers = {name: self._without_key(value.encode()).decode() for name, value in answer.headers.items()}
            raise error_of(method, path, answer.status_code, headers, received, request.unclear)
        try:
            return read(received)
        except Malformed as error:
            detail = f"the answer cannot be used: {error}"
            raise request.unclear(method, path, answer.status_code, detail) from None

    def _usable_key(self, method: str, path: str) -> str:
        key = self._api_key.get_secret_value()
        # A line break or an umlaut would come back in the HTTP library's error, with the whole key.
        if not re.fullmatch(r"[!-~]+", key):
            raise NotAuthorised(
                method, path, None, "DEVIN_API_KEY is empty or has characters that no key has; set it again"
            )
        return key

    def _without_key(self, content: bytes) -> bytes:
        key = self._api_key.get_secret_value().encode()
        # Too short to be a real key, and likely to occur in innocent text.
        if len(key) < 8:
            return content
        if b"\\" in content:
            # Written with escapes, the key would be put together again when the JSON is read.
            with suppress(Malformed):
                content = json.dumps(parse_json(content), ensure_ascii=False).encode()
        return content.replace(key, b"[redacted]")

    def _reason(self, error: Exception) -> str:
        return self._without_key(f"{type(error).__name__}: {error}".encode("utf-8", "replace")).decode()


def _attempts(worth_it: Callable[[Exception], bool | float]) -> AsyncIterator[stamina.Attempt]:
    return stamina.retry_context(
        on=worth_it, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=10.0, wait_jitter=1.0
    )


def _worth_repeating(error: Exception) -> bool | float:
    """Whether to repeat a request after this error; a number is the wait in seconds, True the usual backoff."""
    if isinstance(error, RateLimited):
        wait = error.retry_after_seconds
        if wait is None:
            return True
        # At least half a second: "Retry-After: 0" would use up all attempts within one instant.
        return max(wait, SHORTEST_WAIT_SECONDS) if wait <= LONGEST_WAIT_SECONDS else False
    if not isinstance(error, Unavailable):
        return False
    # No status is a lost connection; a 2xx here is a garbled body. A 3xx or another 4xx comes again as it is.
    return error.status is None or error.status < 300 or error.status >= 500


def encoded(method: str, path: str, body: Mapping[str, Any]) -> bytes:
    """Return the bytes of a body to send, or raise RefusedRequest if the body cannot be written as JSON."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RefusedRequest(method, path, None, f"not sent, for it cannot be written as JSON: {error}") from None
