"""An HTTP answer, read without trust: its JSON, the API's own words, and the error that it is.

Status, headers and bytes come in; nothing here sends anything or knows an API version.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar

from .errors import (
    ConcurrencyCap,
    DevinError,
    Forbidden,
    NotAuthorised,
    NotFound,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    RefusedRequest,
    Unavailable,
)

Parsed = TypeVar("Parsed")

_BY_STATUS: Mapping[int, type[DevinError]] = {
    400: RefusedRequest,
    401: NotAuthorised,
    402: QuotaExhausted,
    403: Forbidden,
    404: NotFound,
    413: RefusedRequest,
    422: RefusedRequest,
}
# "You exceeded your concurrent session limit of 5" was measured; the second is v3's word for it.
_CONCURRENCY = re.compile(r"concurren|total_session_limit", re.IGNORECASE)
_READ_OF_A_REFUSAL = 20_000


class Malformed(ValueError):
    """An answer that cannot be what was asked for; never leaves this package."""


def json_of(content: bytes) -> Any:
    """Parse a body to values that JSON can hold again, or raise Malformed.

    What Python alone accepts (NaN, infinities) becomes None, and lone surrogates, which no UTF-8 file
    can store, become question marks.
    """
    try:
        text = content.decode("utf-8-sig")
        parsed = json.loads(text, parse_float=_finite, parse_constant=lambda _: None)
        if b"\\u" in content:
            parsed = json.loads(json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace"))
        return parsed
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the answer is no JSON ({type(error).__name__}): {_text(content)}") from None


def as_json(parse: Callable[[Any], Parsed]) -> Callable[[bytes], Parsed]:
    """Make a reader of bodies from a reader of JSON values."""
    return lambda content: parse(json_of(content))


def unread(content: bytes) -> None:
    """Read nothing of a body, whatever it holds: the status said all."""


def error_of(
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    otherwise: type[Unavailable] | type[OutcomeUnknown],
) -> DevinError:
    """Give the error that an answer other than 2xx is; `otherwise` where its status decides nothing."""
    words, body = _words_of(content)
    if status == 429:
        kind = ConcurrencyCap if _CONCURRENCY.search(words) else RateLimited
        return kind(method, path, status, words, _wait_of(headers, body))
    if 300 <= status < 400:
        words = f"redirects are not followed; check DEVIN_API_BASE_URL (to {headers.get('location', 'nowhere')})"
    return _BY_STATUS.get(status, otherwise)(method, path, status, words or _phrase(status))


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def _words_of(content: bytes) -> tuple[str, Any]:
    content = content[:_READ_OF_A_REFUSAL]
    try:
        body = json_of(content)
    except Malformed:
        return _text(content), None
    if not isinstance(body, dict):
        return (body if isinstance(body, str) else _text(content)), body
    try:
        for key in ("detail", "message", "error"):
            if body.get(key):
                return _sentence(body[key]), body
    except RecursionError:  # nested more deeply than words ever are
        pass
    return _text(content), body


def _sentence(detail: Any) -> str:
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        return "; ".join(_sentence(part) for part in detail)
    if isinstance(detail, dict) and "msg" in detail:
        # FastAPI's own form; its `input` is left out, for it repeats what we sent.
        place = detail.get("loc")
        where = ".".join(str(step) for step in place) if isinstance(place, list) else ""
        return f"{where}: {detail['msg']}" if where else str(detail["msg"])
    return json.dumps(detail, ensure_ascii=False)


def _text(content: bytes) -> str:
    return content[:2000].decode("utf-8", "replace")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "a status that HTTP does not know"


def _wait_of(headers: Mapping[str, str], body: Any) -> float | None:
    told: Any = headers.get("retry-after")
    if told is None and isinstance(body, dict):
        told = body.get("retry_after")
    if told is None or isinstance(told, bool):
        return None
    try:
        seconds = float(told)
    except (TypeError, ValueError, OverflowError):
        seconds = _seconds_until(str(told))
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _seconds_until(http_date: str) -> float:
    try:
        moment = parsedate_to_datetime(http_date)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    # "-0000" parses to a time without a zone; HTTP dates are UTC.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
