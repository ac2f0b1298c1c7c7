"""Whatever the wire carries, the client gives a result or an error of its tree."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from remediation_assets.devin.client import DevinClient, Version
from remediation_assets.devin.errors import DevinError
from remediation_assets.devin.types import DevinSession, Identity, Message, Playbook

pytestmark = pytest.mark.slow

Call = Callable[[DevinClient], Coroutine[Any, Any, Any]]


async def everything(items: Any) -> list[Any]:
    return [item async for item in items]


CALLS: dict[str, tuple[Call, object]] = {
    "who_am_i": (lambda client: client.who_am_i(), Identity),
    "org_id": (lambda client: client.org_id(), str),
    "create_session": (lambda client: client.create_session(prompt="Fix it", tags=["a"]), DevinSession),
    "get_session": (lambda client: client.get_session("1"), DevinSession),
    "list_sessions": (lambda client: everything(client.list_sessions(tags=["a"])), DevinSession),
    "list_messages": (lambda client: everything(client.list_messages("1")), Message),
    "send_message": (lambda client: client.send_message("1", "Hello"), type(None)),
    "terminate_session": (lambda client: client.terminate_session("1"), type(None)),
    "archive_session": (lambda client: client.archive_session("1"), type(None)),
    "create_playbook": (lambda client: client.create_playbook(title="T", body="B"), Playbook),
    "list_playbooks": (lambda client: everything(client.list_playbooks()), Playbook),
}

# Names that the readers look at, so that values of every kind come to them.
# fmt: off
NAMES = st.sampled_from([
    "session_id", "url", "status", "status_enum", "status_detail", "title", "tags", "created_at", "updated_at",
    "acus_consumed", "pull_requests", "pull_request", "pr_url", "pr_state", "structured_output", "is_archived",
    "is_new_session", "messages", "message", "type", "source", "timestamp", "items", "sessions", "playbooks",
    "has_next_page", "end_cursor", "total", "playbook_id", "body", "principal_type", "org_id", "detail", "loc",
    "msg", "service_user_name", "retry_after", "error",
])
# fmt: on
WORDS = st.text() | st.sampled_from(
    ["devin-1", "running", "blocked", "2026-11-23T10:00:00Z", "9999-12-31T23:59:59-14:00", "https://x.test/pull/1"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=8),
    max_leaves=25,
)
SESSION = st.fixed_dictionaries({"session_id": st.just("devin-1")}, optional={"tags": JSON, "is_new_session": JSON})
BODIES = (
    st.binary(max_size=200)
    | st.one_of(
        JSON,
        SESSION,
        st.fixed_dictionaries({"playbook_id": WORDS, "title": JSON}),
        st.fixed_dictionaries(
            {"items": st.lists(SESSION | JSON, max_size=3), "end_cursor": JSON, "has_next_page": JSON}
        ),
        st.fixed_dictionaries({"sessions": st.lists(SESSION | JSON, max_size=3)}),
        st.fixed_dictionaries({"session_id": st.just("1"), "messages": JSON, "created_at": JSON, "pull_request": JSON}),
        st.fixed_dictionaries({"detail": JSON, "retry_after": JSON}),
    ).map(lambda value: json.dumps(value).encode())
    | st.sampled_from([b"[" * 50_000, b'{"a":' * 50_000, b"1" * 5000, b'"\\ud800"', b"\xef\xbb\xbf{}"])
)
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 402, 403, 404, 422, 429, 500, 503]) | st.integers(
    200, 999
)
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Location", "Content-Type", "Content-Encoding", "X-Odd"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=30)
    | st.integers().map(str)
    | st.sampled_from(
        ["gzip", "br", "deflate", "Wed, 21 Oct 2026 07:28:00 -0000", "Fri, 31 Dec 9999 23:59:59 GMT", "nan"]
    ),
    max_size=3,
).map(lambda headers: [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()])
TROUBLES = st.sampled_from(
    [
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.DecodingError("odd"),
        OSError("odd"),
        KeyError("odd"),
    ]
)
ANSWERS = st.lists(st.tuples(STATUSES, HEADERS, BODIES) | TROUBLES, min_size=1, max_size=3)


class Hostile(httpx.AsyncBaseTransport):
    """Gives raw answers in turn, the last one again and again."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.asked = 0

    async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        assert self.asked < 200, "an endless list"
        if isinstance(answer, Exception):
            raise answer
        status, headers, body = answer
        return httpx.Response(status, headers=headers, stream=Bytes(body))


class Bytes(httpx.AsyncByteStream):
    """A body that is decoded only when the client reads it, as on a real connection."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> Any:
        yield self.body


@pytest.mark.parametrize("version", ["v1", "v3"])
@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=ANSWERS, org_id=st.sampled_from(["", "org-1"]))
def test_any_answer_is_a_result_or_an_error_of_the_tree(
    name: str, version: Version, answers: list[Any], org_id: str
) -> None:
    call, kind = CALLS[name]

    async def ask() -> Any:
        key, transport = SecretStr("cog_canary-0123456789"), Hostile(answers)
        async with DevinClient(
            api_key=key, origin="http://api.test", version=version, org_id=org_id, transport=transport
        ) as client:
            return await call(client)

    try:
        result = asyncio.run(ask())
    except DevinError as error:
        result = error
    if isinstance(result, DevinError):
        assert len(str(result)) < 1200
        assert str(result).isprintable()
        return
    for one in result if isinstance(result, list) else [result]:
        assert isinstance(one, kind)  # type: ignore[arg-type]
        if isinstance(one, DevinSession):
            json.dumps(one.raw, allow_nan=False).encode()
