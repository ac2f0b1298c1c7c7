"""Which error an answer becomes, what its text shows, and what is sent again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from remediation_assets.devin.errors import (
    AccountProblem,
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
from tests.devin.calls import SESSION, create, failure_of, read

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("status", "read_as", "created_as", "reads"),
    [
        (301, Unavailable, OutcomeUnknown, 1),
        (400, RefusedRequest, RefusedRequest, 1),
        (401, NotAuthorised, NotAuthorised, 1),
        (402, QuotaExhausted, QuotaExhausted, 1),
        (403, Forbidden, Forbidden, 1),
        (404, NotFound, NotFound, 1),
        (409, Unavailable, OutcomeUnknown, 1),
        (413, RefusedRequest, RefusedRequest, 1),
        (422, RefusedRequest, RefusedRequest, 1),
        (429, RateLimited, RateLimited, 4),
        (500, Unavailable, OutcomeUnknown, 4),
        (502, Unavailable, OutcomeUnknown, 4),
        (503, Unavailable, OutcomeUnknown, 4),
        (599, Unavailable, OutcomeUnknown, 4),
    ],
)
async def test_each_status_is_one_error_and_a_creation_is_sent_once(
    answering: Any, status: int, read_as: type[DevinError], created_as: type[DevinError], reads: int
) -> None:
    answer = httpx.Response(status, json={"detail": "Words of the API"}, headers={"location": "https://x.test"})
    reader, asked = answering(answer)
    error = await failure_of(read(reader))
    assert (type(error), error.status, len(asked)) == (read_as, status, reads)
    creator, sent = answering(answer)
    error = await failure_of(create(creator))
    assert (type(error), error.status, len(sent)) == (created_as, status, 1)
    assert str(error).startswith(f"POST /v3/organizations/org-1/sessions: {status}: ")


@pytest.mark.parametrize("kind", [NotAuthorised, Forbidden, QuotaExhausted, RateLimited, ConcurrencyCap])
def test_what_is_the_accounts_trouble_has_one_parent(kind: type[DevinError]) -> None:
    assert issubclass(kind, AccountProblem)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail": "Prompt is too long."}', "Prompt is too long."),
        (
            b'{"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing", "input": {}},'
            b' {"loc": ["body", "tags", 0], "msg": "Not text"}, "and more"]}',
            "body.prompt: Field required; body.tags.0: Not text; and more",
        ),
        (b'{"detail": {"code": 7}}', '{"code": 7}'),
        (b'{"message": "No"}', "No"),
        (b'{"error": "No"}', "No"),
        (b'"No"', "No"),
        (b'{"other": 1}', '{"other": 1}'),
        (b"<html>\r\n\x1b[31mBad\x00 gateway", "<html> [31mBad gateway"),
        (b"", "Bad Request"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 60_000, "[" * 500),
        (b"x" * 60_000, "x" * 500),
    ],
)
async def test_the_apis_own_words_are_kept_however_they_come(answering: Any, body: bytes, words: str) -> None:
    client, _ = answering(httpx.Response(400, content=body))
    error = await failure_of(create(client))
    assert error.detail == words
    assert words in str(error)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("You exceeded your concurrent session limit of 5", ConcurrencyCap),
        ("total_session_limit_exceeded", ConcurrencyCap),
        ("Rate limit exceeded", RateLimited),
        ("", RateLimited),
    ],
)
async def test_a_concurrency_cap_is_told_from_a_rate_limit(answering: Any, words: str, kind: type[DevinError]) -> None:
    client, _ = answering(httpx.Response(429, json={"detail": words}))
    assert type(await failure_of(create(client))) is kind


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, {}, None),
        ({"retry-after": "17"}, {}, 17.0),
        ({"retry-after": "-3"}, {}, 0.0),
        ({"retry-after": "soon"}, {}, None),
        ({"retry-after": "nan"}, {}, None),
        ({"retry-after": "1e999"}, {}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, {}, 0.0),
        ({}, {"retry_after": 9}, 9.0),
        ({}, {"retry_after": {"a": 1}}, None),
        ({}, {"retry_after": 10**400}, None),
    ],
)
async def test_the_wait_is_read_where_it_is_told(
    answering: Any, headers: dict[str, str], body: dict[str, Any], seconds: float | None
) -> None:
    client, _ = answering(httpx.Response(429, headers=headers, json={"detail": "Slow down"} | body))
    error = await failure_of(create(client))
    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds == seconds


async def test_a_wait_until_a_date_is_counted_from_now(answering: Any) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    client, _ = answering(httpx.Response(429, headers={"retry-after": date}))
    error = await failure_of(create(client))
    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds is not None
    assert 3500 < error.retry_after_seconds <= 3600


@pytest.mark.parametrize(
    "request_of",
    [
        {"prompt": "x" * 30_000},
        {"prompt": "x", "tags": ["t"] * 51},
        {"prompt": "x", "structured_output_schema": {"description": "x" * 65_536}},
        {"prompt": "\ud800"},
        {"prompt": "x", "structured_output_schema": {"default": float("nan")}},
        {"prompt": "x", "structured_output_schema": {"default": object()}},
    ],
)
async def test_what_the_api_would_refuse_is_not_sent(answering: Any, request_of: dict[str, Any]) -> None:
    client, requests = answering(httpx.Response(200, json=SESSION))
    error = await failure_of(client.create_session(**request_of))
    assert isinstance(error, RefusedRequest)
    assert (requests, "not sent" in error.detail) == ([], True)


async def test_the_longest_prompt_is_sent(answering: Any) -> None:
    client, requests = answering(httpx.Response(200, json=SESSION))
    await client.create_session(prompt="x" * 29_999, tags=["t"] * 50)
    assert len(requests) == 1


@pytest.mark.parametrize("status", [422, 429, 500])
async def test_words_that_are_nested_without_end_are_still_an_error_of_the_tree(answering: Any, status: int) -> None:
    body = b'{"detail": ' + b"[" * 900 + b"]" * 900 + b"}"
    creator, _ = answering(httpx.Response(status, content=body))
    assert isinstance(await failure_of(create(creator)), DevinError)
