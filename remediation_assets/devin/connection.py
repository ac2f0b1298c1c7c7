"""One pool of HTTP connections to the API: sends, waits, repeats what may be repeated.

What may be sent twice is decided here and nowhere else. Paths and bodies come from the client; every
failure leaves as an error of the tree.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import httpx
import stamina
from pydantic import SecretStr

from .answers import Malformed, error_of, json_of
from .errors import NotAuthorised, OutcomeUnknown, RateLimited, RefusedRequest, Unavailable

Parsed = TypeVar("Parsed")
Params = Mapping[str, str | int | Sequence[str]]

ATTEMPTS = 4
SHORTEST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_WHOLE_ANSWER_SECONDS = 60.0
_NO_READ_LIMIT = httpx.Timeout(None, connect=5.0)  # where a deadline for the whole stands around it
# Shorter than servers keep idle connections (uvicorn: 5 s): a POST on one that the server is just
# closing is a POST whose outcome nobody knows.
_LIMITS = httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=3.0)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class _NotSent(Unavailable):
    """No connection came about, so nothing was sent."""


class Connection:
    """Sends requests with the key, and tells by the method's name how often."""

    def __init__(self, api_key: SecretStr, origin: str, transport: httpx.AsyncBaseTransport | None) -> None:
        """Prepare a pool to the origin; nothing is sent yet."""
        self._api_key = api_key
        self._http = httpx.AsyncClient(
            base_url=origin, timeout=_TIMEOUT, limits=_LIMITS, follow_redirects=False, transport=transport
        )

    async def aclose(self) -> None:
        """Close the pool."""
        await self._http.aclose()

    async def repeatable(
        self,
        method: str,
        path: str,
        read: Callable[[bytes], Parsed],
        *,
        params: Params | None = None,
    ) -> Parsed:
        """Send what does no harm when sent twice: again on 429, 5xx, lost connections, garbled answers."""
        async for attempt in _attempts(_worth_repeating):
            with attempt:
                return await self._send(method, path, read, Unavailable, params=params)
        raise AssertionError("the last attempt returns or raises")

    async def post(self, path: str, read: Callable[[bytes], Parsed], body: Mapping[str, Any]) -> Parsed:
        """Send a POST, again only where no connection came about; a lost answer is OutcomeUnknown."""
        async for attempt in _attempts(lambda error: isinstance(error, _NotSent)):
            with attempt:
                return await self._send("POST", path, read, OutcomeUnknown, body=body)
        raise AssertionError("the last attempt returns or raises")

    async def post_once(
        self, path: str, read: Callable[[bytes], Parsed], body: Mapping[str, Any], until: float
    ) -> Parsed:
        """Send a POST one single time; without a plain yes or no it is OutcomeUnknown.

        `until` is a time of the event loop's clock.
        """
        try:
            async with asyncio.timeout_at(until):
                return await self._send("POST", path, read, OutcomeUnknown, body=body, timeout=_NO_READ_LIMIT)
        except TimeoutError:
            raise OutcomeUnknown("POST", path, None, "no answer before the deadline") from None
        except _NotSent as error:
            # It cannot have worked, but the one rule is: no plain answer, no conclusion.
            raise OutcomeUnknown("POST", path, None, error.words) from None

    async def _send(
        self,
        method: str,
        path: str,
        read: Callable[[bytes], Parsed],
        otherwise: type[Unavailable] | type[OutcomeUnknown],
        *,
        params: Params | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: httpx.Timeout = _TIMEOUT,
    ) -> Parsed:
        headers = {"Authorization": f"Bearer {self._usable_key(method, path)}"}
        content = None if body is None else encoded(method, path, body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            # A read's own limit counts for each part of an answer, and an answer may come in endless parts.
            async with asyncio.timeout(_WHOLE_ANSWER_SECONDS):
                answer = await self._http.request(
                    method, path, params=params, content=content, headers=headers, timeout=timeout
                )
        except _NEVER_SENT as error:
            raise _NotSent(method, path, None, self._reason(error)) from None
        except Exception as error:  # whatever a library makes of a hostile answer
            raise otherwise(method, path, None, self._reason(error)) from None
        # Whatever echoes the key must not bring it into an error, a log or the ledger.
        told = self._without_key(answer.content)
        if not answer.is_success:
            headers = {name: self._without_key(value.encode()).decode() for name, value in answer.headers.items()}
            raise error_of(method, path, answer.status_code, headers, told, otherwise)
        try:
            return read(told)
        except Malformed as error:
            words = f"the answer cannot be used: {error}"
            raise otherwise(method, path, answer.status_code, words) from None

    def _usable_key(self, method: str, path: str) -> str:
        key = self._api_key.get_secret_value()
        # A line break or an umlaut would come back in the HTTP library's error, with the whole key.
        if not re.fullmatch(r"[!-~]+", key):
            raise NotAuthorised(
                method, path, None, "DEVIN_API_KEY is empty or holds characters no key has; set it anew"
            )
        return key

    def _without_key(self, told: bytes) -> bytes:
        key = self._api_key.get_secret_value().encode()
        if len(key) < 8:
            return told
        if b"\\" in told:
            # Written with escapes, the key would be put together again when the JSON is read.
            with suppress(Malformed):
                told = json.dumps(json_of(told), ensure_ascii=False).encode()
        return told.replace(key, b"[redacted]")

    def _reason(self, error: Exception) -> str:
        return self._without_key(f"{type(error).__name__}: {error}".encode("utf-8", "replace")).decode()


def _attempts(worth_it: Callable[[Exception], bool | float]) -> AsyncIterator[stamina.Attempt]:
    return stamina.retry_context(
        on=worth_it, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=10.0, wait_jitter=1.0
    )


def _worth_repeating(error: Exception) -> bool | float:
    if isinstance(error, RateLimited):
        wait = error.retry_after_seconds
        if wait is None:
            return True
        return max(wait, SHORTEST_WAIT_SECONDS) if wait <= LONGEST_WAIT_SECONDS else False
    if not isinstance(error, Unavailable):
        return False
    return error.status is None or error.status < 300 or error.status >= 500


def encoded(method: str, path: str, body: Mapping[str, Any]) -> bytes:
    """Write a body as it is sent, or raise RefusedRequest where it is no JSON."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RefusedRequest(method, path, None, f"not sent, for it is no JSON: {error}") from None
