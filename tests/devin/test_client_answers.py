"""How leniently the client reads what the API says, and what it makes of nonsense."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from remediation_assets.devin.errors import OutcomeUnknown, Unavailable
from remediation_assets.devin.types import PullRequest

pytestmark = pytest.mark.anyio

FULL = {
    "session_id": "abc",
    "url": "https://app.devin.ai/sessions/abc",
    "status": "running",
    "status_detail": "waiting_for_user",
    "title": "A fix",
    "tags": ["a", "b"],
    "org_id": "org-1",
    "created_at": 1_800_000_000,
    "updated_at": 1_800_000_060,
    "acus_consumed": 1.5,
    "pull_requests": [{"pr_url": "https://github.com/a/b/pull/1", "pr_state": None}],
    "structured_output": {"status": "completed"},
    "is_archived": True,
    "a_field_of_tomorrow": {"x": 1},
}


async def test_a_full_session_is_read_with_its_raw_payload(answering: Any) -> None:
    client, _ = answering(httpx.Response(200, json=FULL))
    session = await client.get_session("abc")
    assert session.model_dump() == {
        "session_id": "abc",
        "url": "https://app.devin.ai/sessions/abc",
        "status": "running",
        "status_detail": "waiting_for_user",
        "pull_requests": ({"url": "https://github.com/a/b/pull/1", "state": None},),
        "structured_output": {"status": "completed"},
        "acus_consumed": 1.5,
        "created_at": datetime.fromtimestamp(1_800_000_000, UTC),
        "updated_at": datetime.fromtimestamp(1_800_000_060, UTC),
        "tags": ("a", "b"),
        "title": "A fix",
        "is_archived": True,
        "raw": FULL,
    }


@pytest.mark.parametrize(
    ("told", "name", "read"),
    [
        ({"status": "levitating"}, "status", "levitating"),
        ({"status": None}, "status", "unknown"),
        ({"status_detail": "out_of_magic"}, "status_detail", "out_of_magic"),
        ({"status_detail": ["x"]}, "status_detail", None),
        ({"url": None}, "url", "https://app.devin.ai/sessions/abc"),
        ({"tags": None}, "tags", ()),
        ({"tags": ["a", 1, None]}, "tags", ("a",)),
        ({"pull_requests": None}, "pull_requests", ()),
        ({"pull_requests": "x"}, "pull_requests", ()),
        (
            {
                "pull_requests": [
                    None,
                    {},
                    {"pr_url": 1},
                    {"pr_url": "u"},
                    {"pr_url": "v", "pr_state": "open"},
                ]
            },
            "pull_requests",
            (PullRequest(url="u", state=None), PullRequest(url="v", state="open")),
        ),
        ({"structured_output": "free text"}, "structured_output", "free text"),
        ({"structured_output": [1]}, "structured_output", [1]),
        ({"acus_consumed": None}, "acus_consumed", None),
        ({"acus_consumed": True}, "acus_consumed", None),
        ({"acus_consumed": "1.5"}, "acus_consumed", None),
        ({"acus_consumed": 10**400}, "acus_consumed", None),
        ({"created_at": "2026-11-23T10:00:00+02:00"}, "created_at", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ({"created_at": None}, "created_at", datetime.fromtimestamp(0, UTC)),
        ({"created_at": 10**30}, "created_at", datetime.fromtimestamp(0, UTC)),
        ({"created_at": "yesterday"}, "created_at", datetime.fromtimestamp(0, UTC)),
        ({"updated_at": None}, "updated_at", datetime.fromtimestamp(1_800_000_000, UTC)),
        ({"title": 7}, "title", None),
        ({"is_archived": None}, "is_archived", False),
    ],
)
async def test_a_field_that_is_odd_or_missing_costs_only_itself(
    answering: Any, told: dict[str, Any], name: str, read: object
) -> None:
    client, _ = answering(httpx.Response(200, json=FULL | told))
    session = await client.get_session("abc")
    assert getattr(session, name) == read
    assert session.session_id == "abc"


async def test_a_session_of_nothing_but_an_id_is_read(answering: Any) -> None:
    client, _ = answering(httpx.Response(200, json={"session_id": "abc"}))
    assert (await client.get_session("abc")).status == "unknown"


async def test_what_json_cannot_hold_again_does_not_come_through(answering: Any) -> None:
    body = rb'{"session_id": "abc", "title": "\ud800x", "structured_output": [NaN, 1e999, -Infinity, 1.5]}'
    client, _ = answering(httpx.Response(200, content=body))
    session = await client.get_session("abc")
    assert (session.title, session.structured_output) == ("?x", [None, None, None, 1.5])


NONSENSE = [
    b"",
    b"null",
    b"[]",
    b"7",
    b'"text"',
    b"{}",
    b'{"session_id": null}',
    b'{"session_id": ""}',
    b'{"session_id": {"a": 1}}',
    b"<html>cog_canary</html>",
    b'{"session_id": "abc"',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"session_id": ' + b"1" * 5000 + b"}",
]


@pytest.mark.parametrize("body", NONSENSE)
async def test_nonsense_is_unavailable_when_read_and_unknown_when_created(answering: Any, body: bytes) -> None:
    reader, asked = answering(httpx.Response(200, content=body))
    with pytest.raises(Unavailable):
        await reader.get_session("abc")
    creator, sent = answering(httpx.Response(200, content=body))
    with pytest.raises(OutcomeUnknown):
        await creator.create_session(prompt="Fix it")
    assert (len(asked), len(sent)) == (4, 1)


@pytest.mark.parametrize("body", [b"", b"null", b"<html>"])
async def test_where_the_status_says_all_the_body_may_hold_anything(answering: Any, body: bytes) -> None:
    client, requests = answering(httpx.Response(200, content=body))
    await client.terminate_session("abc")
    await client.send_message("abc", "Hello")
    await client.archive_session("abc")
    assert len(requests) == 3


async def test_messages_keep_the_word_for_their_source(answering: Any) -> None:
    items = [
        {"source": "devin", "message": "Done.", "created_at": 1_800_000_000, "event_id": "1"},
        {"source": "oracle", "message": "Hm."},
        {},
    ]
    client, _ = answering(httpx.Response(200, json={"items": items}))
    messages = [message async for message in client.list_messages("abc")]
    assert [(m.source, m.text) for m in messages] == [("devin", "Done."), ("oracle", "Hm."), ("unknown", "")]
    assert messages[0].created_at == datetime.fromtimestamp(1_800_000_000, UTC)
