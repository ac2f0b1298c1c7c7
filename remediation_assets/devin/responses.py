"""What an HTTP response says, read without trust: its JSON, or the error it stands for.

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
# "You exceeded your concurrent session limit of 5" was measured on v1; the second is v3's code for it.
_CONCURRENCY = re.compile(r"concurren|total_session_limit", re.IGNORECASE)
_ERROR_BODY_BYTES = 20_000  # an error shows 500 characters; a body of megabytes need not be parsed for them


class Malformed(ValueError):
    """A body that is not what was asked for; the connection turns this into one of the `DevinError`s."""


def parse_json(content: bytes) -> Any:
    r"""Parse a body into values that can be written as JSON again, or raise Malformed.

    What Python alone accepts (NaN, infinities) becomes None; a lone surrogate, possible through a \u
    escape, becomes a question mark, for it cannot be stored as UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
        parsed = json.loads(text, parse_float=_finite, parse_constant=lambda _: None)
        # Only an escape can produce a surrogate, so most bodies are spared the second pass.
        if b"\\u" in content:
            parsed = json.loads(json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace"))
        return parsed
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the answer is not JSON ({type(error).__name__}): {_text(content)}") from None


def as_json(parse: Callable[[Any], Parsed]) -> Callable[[bytes], Parsed]:
    """Return a reader of raw bodies, made from a reader of JSON values."""
    return lambda content: parse(parse_json(content))


def ignore_body(content: bytes) -> None:
    """Accept any body, for requests whose success is decided by the status alone."""


def error_of(
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    otherwise: type[Unavailable] | type[OutcomeUnknown],
) -> DevinError:
    """Return the error that a response other than 2xx stands for; `otherwise` if its status has no error."""
    detail, body = _detail_of(content)
    if status == 429:
        kind = ConcurrencyCap if _CONCURRENCY.search(detail) else RateLimited
        return kind(method, path, status, detail, _wait_of(headers, body))
    if 300 <= status < 400:
        # The API itself never redirects: this is a wrong base URL, or a proxy with a login page.
        target = headers.get("location", "an unknown address")
        detail = f"redirects are not followed; check DEVIN_API_BASE_URL (redirected to {target})"
    return _BY_STATUS.get(status, otherwise)(method, path, status, detail or _phrase(status))


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def _detail_of(content: bytes) -> tuple[str, Any]:
    """Return the API's own explanation in an error body, and the body as JSON, None if it is not JSON."""
    content = content[:_ERROR_BODY_BYTES]
    try:
        body = parse_json(content)
    except Malformed:
        return _text(content), None
    if not isinstance(body, dict):
        return (body if isinstance(body, str) else _text(content)), body
    try:
        for key in ("detail", "message", "error"):
            if body.get(key):
                return _sentence(body[key]), body
    except RecursionError:  # nested more deeply than any explanation is
        pass
    return _text(content), body


def _sentence(detail: Any) -> str:
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        return "; ".join(_sentence(part) for part in detail)
    if isinstance(detail, dict) and "msg" in detail:
        # The form of FastAPI's 422; `input` is skipped, for it repeats what we sent.
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
        return "an unknown HTTP status"


def _wait_of(headers: Mapping[str, str], body: Any) -> float | None:
    wait: Any = headers.get("retry-after")
    if wait is None and isinstance(body, dict):
        wait = body.get("retry_after")
    if wait is None or isinstance(wait, bool):
        return None
    try:
        seconds = float(wait)
    except (TypeError, ValueError, OverflowError):
        seconds = _seconds_until(str(wait))
    # "nan" and "1e999" are floats to Python; as waits they would hold without end or break the arithmetic.
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _seconds_until(http_date: str) -> float:
    try:
        moment = parsedate_to_datetime(http_date)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    # "-0000" parses to a time without a zone; HTTP dates are UTC.
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
