"""What is v1's own: requests, answers, pages without an end, and creations that recognise a prompt."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from remediation_assets.devin.errors import OutcomeUnknown, RefusedRequest, Unavailable
from remediation_assets.devin.types import PullRequest
from tests.devin.calls import failure_of

pytestmark = pytest.mark.anyio

CREATED = {"session_id": "devin-1", "url": "https://app.devin.ai/sessions/1", "is_new_session": True}
FULL = {
    "session_id": "devin-1",
    "status": "running",
    "status_enum": "blocked",
    "title": "A fix",
    "created_at": "2026-11-23T10:00:00Z",
    "updated_at": "2026-11-23T12:30:00+02:00",
    "tags": ["a", "b"],
    "pull_request": {"url": "https://github.com/a/b/pull/1"},
    "structured_output": {"status": "completed"},
    "messages": [
        {"type": "initial_user_message", "message": "Fix it", "timestamp": "2026-11-23T10:00:00"},
        {"type": "devin_message", "message": "Done", "timestamp": None},
        {"type": "oracle", "message": 7},
        "nonsense",
    ],
}


def page(count: int, start: int = 0) -> httpx.Response:
    return httpx.Response(200, json={"sessions": [{"session_id": f"devin-{start + n}"} for n in range(count)]})


async def ids(client: Any) -> list[str]:
    return [session.session_id async for session in client.list_sessions(tags=["t"])]


async def test_a_creation_asks_for_recognition_and_names_no_repositories(answering: Any) -> None:
    client, requests = answering(httpx.Response(200, json=CREATED), version="v1")
    session = await client.create_session(prompt="Fix it", tags=["a"], repos=["acme/shop"], max_acu_limit=5)
    (request,) = requests
    assert (request.method, request.url.path) == ("POST", "/v1/sessions")
    assert json.loads(request.content) == {
        "prompt": "Fix it",
        "tags": ["a"],
        "secret_ids": [],
        "knowledge_ids": [],
        "max_acu_limit": 5,
        "idempotent": True,
    }
    assert (session.session_id, session.url) == ("devin-1", "https://app.devin.ai/sessions/1")


async def test_the_other_methods_speak_as_documented(answering: Any) -> None:
    client, requests = answering(httpx.Response(200, json={"playbook_id": "playbook-1"}), version="v1")
    await client.send_message("abc", "Hello")
    await client.terminate_session("abc")
    await client.create_playbook(title="T", body="B")
    sent = [(r.method, r.url.raw_path.decode(), r.content and json.loads(r.content)) for r in requests]
    assert sent == [
        ("POST", "/v1/sessions/devin-abc/message", {"message": "Hello"}),
        ("DELETE", "/v1/sessions/devin-abc", b""),
        ("POST", "/v1/playbooks", {"title": "T", "body": "B"}),
    ]


async def test_a_full_session_is_read_with_its_raw_payload(answering: Any) -> None:
    client, _ = answering(httpx.Response(200, json=FULL), version="v1")
    session = await client.get_session("1")
    assert session.model_dump() == {
        "session_id": "devin-1",
        "url": "https://app.devin.ai/sessions/1",
        "status": "running",
        "status_detail": "blocked",
        "pull_requests": (PullRequest(url="https://github.com/a/b/pull/1", state=None).model_dump(),),
        "structured_output": {"status": "completed"},
        "acus_consumed": None,
        "created_at": datetime(2026, 11, 23, 10, tzinfo=UTC),
        "updated_at": datetime(2026, 11, 23, 10, 30, tzinfo=UTC),
        "tags": ("a", "b"),
        "title": "A fix",
        "is_archived": False,
        "raw": FULL,
    }
    assert [(m.source, m.text) async for m in client.list_messages("1")] == [
        ("user", "Fix it"),
        ("devin", "Done"),
        ("oracle", ""),
    ]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"status": "running", "status_enum": None}, ("running", "running")),
        ({"status": "blocked"}, ("blocked", "blocked")),
        ({"status_enum": "finished"}, ("unknown", "finished")),
        ({}, ("unknown", None)),
        ({"status": 1, "status_enum": []}, ("unknown", None)),
    ],
)
async def test_where_the_telling_word_is_missing_the_coarse_one_stands_for_it(
    answering: Any, told: dict[str, Any], words: tuple[str, str | None]
) -> None:
    client, _ = answering(httpx.Response(200, json={"session_id": "1"} | told), version="v1")
    session = await client.get_session("1")
    assert (session.status, session.status_detail) == words


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        ([page(0)], [0]),
        ([page(99)], [0]),
        ([page(100), page(0)], [0, 100]),
        ([page(101), page(1, 100)], [0, 100]),
        ([page(101), page(100, 100)], [0, 100]),
        ([page(101), page(101, 100), page(100, 200)], [0, 100, 200]),
        ([page(100), page(100, 100), page(7, 200)], [0, 100, 200]),
    ],
)
async def test_a_list_ends_only_where_it_is_sure_to(
    answering: Any, pages: list[httpx.Response], asked: list[int]
) -> None:
    client, requests = answering(*pages, version="v1")
    found = await ids(client)
    expected = {item["session_id"] for one in pages for item in one.json()["sessions"]}
    assert (len(found), set(found)) == (len(expected), expected)
    assert [request.url.params.multi_items() for request in requests] == [
        [("tags", "t"), ("limit", "101"), ("offset", str(offset))] for offset in asked
    ]


async def test_a_server_that_refuses_one_more_than_a_page_is_asked_for_a_page(answering: Any) -> None:
    refusal = httpx.Response(422, json={"detail": [{"loc": ["query", "limit"], "msg": "at most 100"}]})
    client, requests = answering(refusal, page(100), page(3, 100), version="v1")
    assert len(await ids(client)) == 103
    assert [request.url.params["limit"] for request in requests] == ["101", "100", "100"]
    client, requests = answering(refusal, version="v1")
    with pytest.raises(RefusedRequest):
        await ids(client)
    assert len(requests) == 2


async def test_a_session_that_moves_to_the_next_page_is_given_once(answering: Any) -> None:
    client, _ = answering(page(101), page(5, 99), version="v1")
    found = await ids(client)
    assert found == [f"devin-{n}" for n in range(104)]


async def test_a_server_that_repeats_its_page_is_an_error_and_no_endless_list(answering: Any) -> None:
    client, requests = answering(page(101), version="v1")
    with pytest.raises(Unavailable, match="repeats"):
        await ids(client)
    assert len(requests) == 2


@pytest.mark.parametrize("body", [{}, {"sessions": None}, {"sessions": [{}]}, "text", None, {"items": []}])
async def test_a_list_that_may_be_incomplete_is_an_error(answering: Any, body: Any) -> None:
    client, _ = answering(httpx.Response(200, json=body), version="v1")
    with pytest.raises(Unavailable):
        await ids(client)


async def test_a_list_that_stands_alone_is_read(answering: Any) -> None:
    client, _ = answering(httpx.Response(200, json=[{"session_id": "1"}]), version="v1")
    assert await ids(client) == ["1"]


async def test_an_older_session_with_our_tags_is_ours(answering: Any) -> None:
    older = httpx.Response(200, json=CREATED | {"is_new_session": False})
    client, requests = answering(older, httpx.Response(200, json=FULL), version="v1")
    session = await client.create_session(prompt="Fix it", tags=["a"])
    assert (session.session_id, session.status_detail) == ("devin-1", "blocked")
    assert [request.method for request in requests] == ["POST", "GET"]


async def test_an_older_session_without_our_tags_is_a_refusal(answering: Any) -> None:
    older = httpx.Response(200, json=CREATED | {"is_new_session": False})
    client, requests = answering(older, httpx.Response(200, json=FULL), version="v1")
    error = await failure_of(client.create_session(prompt="Fix it", tags=["a", "mine"]))
    assert (type(error), [request.method for request in requests]) == (RefusedRequest, ["POST", "GET"])
    assert "devin-1, an older session with the same prompt" in str(error)


@pytest.mark.parametrize("trouble", [httpx.Response(404), httpx.Response(401), httpx.ReadTimeout("slow")])
async def test_an_older_session_that_cannot_be_looked_at_leaves_the_outcome_unknown(
    answering: Any, trouble: Any
) -> None:
    client, _ = answering(httpx.Response(200, json=CREATED | {"is_new_session": False}), trouble, version="v1")
    assert type(await failure_of(client.create_session(prompt="Fix it", tags=["a"]))) is OutcomeUnknown


async def test_no_organisation_is_asked_for(answering: Any) -> None:
    client, requests = answering(page(1), version="v1", org_id="")
    assert await client.org_id() == ""
    assert requests == []
    assert (await client.who_am_i()).org_id is None
    assert [str(request.url) for request in requests] == ["http://api.test/v1/sessions?limit=1"]


async def test_a_list_from_which_something_left_meanwhile_is_an_error(answering: Any) -> None:
    client, requests = answering(page(101), page(98, 102), version="v1")
    with pytest.raises(Unavailable, match="moved while it was read"):
        await ids(client)
    assert len(requests) == 2


@pytest.mark.parametrize("told", [{}, {"is_new_session": None}, {"is_new_session": "false"}])
async def test_a_session_that_is_not_said_to_be_new_is_looked_at(answering: Any, told: dict[str, Any]) -> None:
    answer = httpx.Response(200, json={"session_id": "devin-1", **told})
    client, requests = answering(answer, httpx.Response(200, json=FULL), version="v1")
    error = await failure_of(client.create_session(prompt="Fix it", tags=["mine"]))
    assert (type(error), len(requests)) == (RefusedRequest, 2)


async def test_an_older_session_that_does_not_tell_its_tags_may_be_ours(answering: Any) -> None:
    older = httpx.Response(200, json=CREATED | {"is_new_session": False})
    client, _ = answering(older, httpx.Response(200, json=FULL | {"tags": None}), version="v1")
    assert type(await failure_of(client.create_session(prompt="Fix it", tags=["a"]))) is OutcomeUnknown
