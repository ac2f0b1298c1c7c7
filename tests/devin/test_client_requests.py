"""What the client puts on the wire, and how it goes through pages."""

import json
from typing import Any

import httpx
import pytest

from remediation_assets.devin.errors import Forbidden, RefusedRequest, Unavailable

pytestmark = pytest.mark.anyio

SESSION = {"session_id": "devin-1", "url": "https://app.devin.ai/sessions/1", "status": "new"}


def page(numbers: list[int], cursor: str | None) -> httpx.Response:
    items = [SESSION | {"session_id": f"devin-{number}"} for number in numbers]
    return httpx.Response(
        200, json={"items": items, "has_next_page": cursor is not None, "end_cursor": cursor, "total": None}
    )


async def test_a_creation_says_explicitly_what_the_session_may_use(answering: Any) -> None:
    client, requests = answering(httpx.Response(200, json=SESSION))
    session = await client.create_session(prompt="Fix it", tags=["a", "b"], max_acu_limit=5)
    (request,) = requests
    assert (request.method, request.url.path) == ("POST", "/v3/organizations/org-1/sessions")
    assert request.headers["authorization"] == "Bearer cog_test"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {
        "prompt": "Fix it",
        "tags": ["a", "b"],
        "repos": [],
        "secret_ids": [],
        "knowledge_ids": [],
        "max_acu_limit": 5,
    }
    assert session.session_id == "devin-1"


async def test_a_creation_carries_everything_it_is_given(answering: Any) -> None:
    client, requests = answering(httpx.Response(200, json=SESSION))
    given: dict[str, Any] = {
        "prompt": "Fix it",
        "title": "A fix",
        "tags": ["a"],
        "playbook_id": "playbook-1",
        "repos": ["acme/shop"],
        "secret_ids": ["secret-1"],
        "knowledge_ids": ["note-1"],
        "max_acu_limit": 3,
        "structured_output_schema": {"type": "object"},
    }
    await client.create_session(**given)
    assert json.loads(requests[0].content) == given


@pytest.mark.parametrize("session_id", ["abc", "devin-abc"])
async def test_a_path_names_a_session_with_its_prefix(answering: Any, session_id: str) -> None:
    client, requests = answering(httpx.Response(200, json=SESSION))
    await client.get_session(session_id)
    assert requests[0].url.path == "/v3/organizations/org-1/sessions/devin-abc"


async def test_an_id_cannot_leave_its_place_in_the_path(answering: Any) -> None:
    client, requests = answering(httpx.Response(200, json=SESSION))
    await client.get_session("x/../../self?y")
    assert requests[0].url.raw_path == b"/v3/organizations/org-1/sessions/devin-x%2F..%2F..%2Fself%3Fy"


async def test_the_other_methods_speak_as_documented(answering: Any) -> None:
    client, requests = answering(httpx.Response(200, json={"playbook_id": "playbook-1"}))
    await client.send_message("abc", "Hello")
    await client.terminate_session("abc")
    await client.archive_session("abc")
    await client.create_playbook(title="T", body="B")
    under = "/v3/organizations/org-1"
    sent = [(r.method, r.url.path.removeprefix(under), r.content and json.loads(r.content)) for r in requests]
    assert sent == [
        ("POST", "/sessions/devin-abc/messages", {"message": "Hello"}),
        ("DELETE", "/sessions/devin-abc", b""),
        ("POST", "/sessions/devin-abc/archive", b""),
        ("POST", "/playbooks", {"title": "T", "body": "B"}),
    ]


async def test_a_list_goes_through_all_pages_of_200_and_repeats_the_tags(answering: Any) -> None:
    client, requests = answering(page([1, 2], "one"), page([3], "two"), page([4], None))
    found = [session.session_id async for session in client.list_sessions(tags=["a b", "c"])]
    assert found == ["devin-1", "devin-2", "devin-3", "devin-4"]
    assert [request.url.params.multi_items() for request in requests] == [
        [("tags", "a b"), ("tags", "c"), ("first", "200")],
        [("tags", "a b"), ("tags", "c"), ("first", "200"), ("after", "one")],
        [("tags", "a b"), ("tags", "c"), ("first", "200"), ("after", "two")],
    ]


@pytest.mark.parametrize(
    ("body", "pages"),
    [
        ({"items": [SESSION], "end_cursor": "one"}, 2),
        ({"items": [SESSION], "end_cursor": "one", "has_next_page": False}, 1),
        ({"items": [SESSION], "end_cursor": None}, 1),
        ({"items": [SESSION]}, 1),
        ([SESSION], 1),
    ],
)
async def test_a_page_that_says_less_than_documented_is_read(answering: Any, body: Any, pages: int) -> None:
    client, requests = answering(httpx.Response(200, json=body), page([2], None))
    found = [session.session_id async for session in client.list_sessions(tags=["a"])]
    assert (found, len(requests)) == (["devin-1", "devin-2"][:pages], pages)


async def test_a_cursor_that_repeats_is_an_error_and_no_endless_list(answering: Any) -> None:
    client, requests = answering(page([1], "one"))
    with pytest.raises(Unavailable, match="cursor repeats"):
        _ = [session async for session in client.list_sessions(tags=["a"])]
    assert len(requests) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"items": [], "has_next_page": True, "end_cursor": None},
        {"items": [SESSION, {"status": "running"}], "has_next_page": False},
        {"has_next_page": False},
        "nothing",
    ],
)
async def test_a_list_that_may_be_incomplete_is_an_error(answering: Any, body: object) -> None:
    client, _ = answering(httpx.Response(200, json=body))
    with pytest.raises(Unavailable):
        _ = [session async for session in client.list_sessions(tags=["a"])]


async def test_the_organisation_is_asked_once_where_none_is_set(answering: Any) -> None:
    me = {"principal_type": "service_user", "service_user_name": "CI Bot", "org_id": "org-9"}
    client, requests = answering(httpx.Response(200, json=me), httpx.Response(200, json=SESSION), org_id="")
    await client.get_session("abc")
    await client.get_session("abc")
    paths = ["/v3/self", *["/v3/organizations/org-9/sessions/devin-abc"] * 2]
    assert [request.url.path for request in requests] == paths


async def test_a_key_without_an_organisation_says_which_setting_is_missing(answering: Any) -> None:
    client, _ = answering(httpx.Response(200, json={"principal_type": "service_user", "org_id": None}), org_id="")
    with pytest.raises(Forbidden, match="DEVIN_ORG_ID"):
        await client.org_id()


@pytest.mark.parametrize(
    ("told", "pages"),
    [({"has_next_page": None, "end_cursor": "one"}, 2), ({"has_next_page": "no", "end_cursor": None}, 1)],
)
async def test_a_page_whose_flag_is_no_flag_is_judged_by_its_cursor(
    answering: Any, told: dict[str, Any], pages: int
) -> None:
    client, requests = answering(httpx.Response(200, json={"items": [SESSION], **told}), page([2], None))
    assert len([session async for session in client.list_sessions(tags=["a"])]) == len(requests) == pages


@pytest.mark.parametrize("cursor", [7, "", ["one"]])
async def test_a_cursor_that_is_none_is_an_error_where_more_may_follow(answering: Any, cursor: object) -> None:
    client, _ = answering(httpx.Response(200, json={"items": [SESSION], "end_cursor": cursor}))
    with pytest.raises(Unavailable):
        _ = [session async for session in client.list_sessions(tags=["a"])]


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_name_that_would_be_another_place_is_never_sent(answering: Any, name: str) -> None:
    client, requests = answering(httpx.Response(200, json=SESSION), org_id=name)
    with pytest.raises(RefusedRequest, match="cannot be an id"):
        await client.get_session("1")
    assert requests == []


async def test_a_schema_is_measured_as_it_is_sent_and_one_that_is_no_json_is_refused(answering: Any) -> None:
    client, requests = answering(httpx.Response(200, json=SESSION))
    await client.create_session(prompt="Fix it", structured_output_schema={"d": "ä" * 32_000})
    circular: dict[str, Any] = {}
    circular["itself"] = circular
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"d": deep}
    for schema in ({"d": "ä" * 33_000}, circular, {("a", "b"): 1}, deep):
        with pytest.raises(RefusedRequest):
            await client.create_session(prompt="Fix it", structured_output_schema=schema)
    assert len(requests) == 1


async def test_empty_pages_that_lead_on_and_on_are_an_error_and_no_endless_list(answering: Any) -> None:
    client, requests = answering(*[page([], f"cursor-{number}") for number in range(100)])
    with pytest.raises(Unavailable, match="its end is never reached"):
        _ = [session async for session in client.list_sessions(tags=["a"])]
    assert len(requests) == 11


async def test_a_session_that_two_pages_show_is_given_once(answering: Any) -> None:
    client, _ = answering(page([1, 2], "one"), page([2, 3], None))
    found = [session.session_id async for session in client.list_sessions(tags=["a"])]
    assert found == ["devin-1", "devin-2", "devin-3"]


async def test_a_bare_list_as_long_as_a_page_may_not_be_whole(answering: Any) -> None:
    client, _ = answering(httpx.Response(200, json=[SESSION] * 200))
    with pytest.raises(Unavailable):
        _ = [session async for session in client.list_sessions(tags=["a"])]
