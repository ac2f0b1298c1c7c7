"""The simulator on the wire, in-process and over HTTP: shapes, paging and refusals as documented."""

from typing import Any

import httpx
import pytest

from remediation_assets.simulator.world.schedule import schedule_for
from remediation_assets.simulator.world.world import World
from tests.support.clock import NOON, Clock

pytestmark = pytest.mark.anyio

ORG = "/v3/organizations/org-simulator"
BEGUN = int(NOON.timestamp())
UNAUTHENTICATED = {"detail": "Unauthenticated"}


async def created(wire: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await wire.post(f"{ORG}/sessions", json={"prompt": "Fix it"} | fields)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def subject_that(world: World, *, gets_stuck: bool) -> str:
    names = (f"attempt-{number}" for number in range(1000))
    return next(name for name in names if schedule_for(world.seed, name).gets_stuck is gets_stuck)


async def test_a_key_tells_whose_it_is(wire: httpx.AsyncClient) -> None:
    assert (await wire.get("/v3/self")).json() == {
        "principal_type": "service_user",
        "service_user_id": "service-user-simulator",
        "service_user_name": "Simulator",
        "org_id": "org-simulator",
    }


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer apk_1", "Basic cog_1", "cog_1"])
@pytest.mark.parametrize("path", ["/v3/self", f"{ORG}/sessions", f"{ORG}/playbooks", f"{ORG}/sessions/x"])
async def test_nothing_is_told_without_a_key(wire: httpx.AsyncClient, header: str | None, path: str) -> None:
    wire.headers.pop("Authorization")
    answer = await wire.get(path, headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()) == (401, UNAUTHENTICATED)


async def test_a_new_session_answers_with_every_field_and_hides_what_only_get_and_list_tell(
    wire: httpx.AsyncClient, clock: Clock
) -> None:
    body = await created(wire, title="A fix", tags=["a", "b", "a"], playbook_id="playbook-1", unknown=1)
    clock.move(2)
    got = (await wire.get(f"{ORG}/sessions/{body['session_id']}")).json()
    hexadecimal = body["session_id"].removeprefix("devin-")
    assert body == {
        "session_id": f"devin-{hexadecimal}",
        "url": f"https://app.devin.ai/sessions/{hexadecimal}",
        "status": "new",
        "status_detail": None,
        "title": "A fix",
        "tags": ["a", "b"],
        "org_id": "org-simulator",
        "created_at": BEGUN,
        "updated_at": BEGUN,
        "acus_consumed": 0.0,
        "pull_requests": [],
        "structured_output": None,
        "playbook_id": "playbook-1",
        "user_id": None,
        "service_user_id": "service-user-simulator",
        "parent_session_id": None,
        "child_session_ids": None,
        "is_archived": False,
        "origin": "api",
        "category": None,
        "subcategory": None,
    }
    assert set(got) == set(body)
    assert (got["status"], got["status_detail"], got["structured_output"]["status"]) == (
        "running",
        "working",
        "analyzing",
    )


@pytest.mark.parametrize("gets_stuck", [False, True])
async def test_a_session_ends_parked_with_a_pull_request_or_stuck(
    wire: httpx.AsyncClient, world: World, clock: Clock, gets_stuck: bool
) -> None:
    prompt = '{"finding_id": "F-1", "repo_url": "https://git.example.com/acme/shop"}'
    body = await created(wire, prompt=prompt, tags=[subject_that(world, gets_stuck=gets_stuck)])
    clock.move(60)
    path = f"{ORG}/sessions/{body['session_id']}"
    got = (await wire.get(path)).json()
    words = (await wire.get(f"{path}/messages")).json()["items"][-1]["message"]
    assert got["status"] == "running"
    if gets_stuck:
        assert (got["status_detail"], got["pull_requests"]) == ("waiting_for_user", [])
        assert got["structured_output"]["status"] == "testing"
        assert words == f"{got['structured_output']['error_message']}."
    else:
        (pull_request,) = got["pull_requests"]
        assert pull_request["pr_state"] == "open"
        assert pull_request["pr_url"].startswith("https://git.example.com/acme/shop/pull/")
        assert pull_request["pr_url"] in words
        assert got["structured_output"]["status"] == "completed"


async def test_a_bare_id_finds_the_session_too(wire: httpx.AsyncClient) -> None:
    body = await created(wire)
    bare = body["session_id"].removeprefix("devin-")
    assert (await wire.get(f"{ORG}/sessions/{bare}")).json()["session_id"] == body["session_id"]


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"prompt": None}, ["body", "prompt"]),
        ({"prompt": "x", "tags": ["t"] * 51}, ["body", "tags"]),
        ({"prompt": "x", "max_acu_limit": 0}, ["body", "max_acu_limit"]),
        (
            {"prompt": "x", "structured_output_schema": {"d": "x" * 65_536}},
            ["body", "structured_output_schema"],
        ),
    ],
)
async def test_a_request_of_the_wrong_form_is_refused_as_fastapi_does(
    wire: httpx.AsyncClient, fields: dict[str, Any], loc: list[str]
) -> None:
    answer = await wire.post(f"{ORG}/sessions", json=fields)
    (problem,) = answer.json()["detail"]
    assert (answer.status_code, problem["loc"]) == (422, loc)
    assert {"type", "loc", "msg", "input"} <= set(problem)


async def test_a_prompt_that_is_too_long_is_refused_in_the_apis_words(wire: httpx.AsyncClient) -> None:
    answer = await wire.post(f"{ORG}/sessions", json={"prompt": "x" * 30_000})
    words = {"detail": "Prompt is too long. Must be less than 30000 characters."}
    assert (answer.status_code, answer.json()) == (400, words)
    await created(wire, prompt="x" * 29_999)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/sessions/devin-nobody"),
        ("DELETE", "/sessions/devin-nobody"),
        ("POST", "/sessions/devin-nobody/archive"),
        ("GET", "/sessions/devin-nobody/messages"),
        ("GET", "/sessions/devin-nobody/tags"),
        ("GET", "/playbooks/playbook-none"),
        ("DELETE", "/playbooks/playbook-none"),
        ("GET", "/nothing"),
    ],
)
async def test_what_does_not_exist_is_not_found(wire: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await wire.request(method, f"{ORG}{path}")
    assert answer.status_code == 404
    assert isinstance(answer.json()["detail"], str)


async def test_organisations_do_not_see_each_other(wire: httpx.AsyncClient) -> None:
    body = await created(wire)
    elsewhere = "/v3/organizations/org-other/sessions"
    assert (await wire.get(elsewhere)).json()["items"] == []
    assert (await wire.get(f"{elsewhere}/{body['session_id']}")).status_code == 404


async def test_a_list_pages_newest_first_by_cursor(wire: httpx.AsyncClient) -> None:
    ids = [(await created(wire, tags=["t", f"n-{n % 2}"]))["session_id"] for n in range(5)]
    found, after, sizes = [], None, []
    while True:
        params: dict[str, Any] = {"tags": "t", "first": 2} | ({"after": after} if after else {})
        page = (await wire.get(f"{ORG}/sessions", params=params)).json()
        assert set(page) == {"items", "has_next_page", "end_cursor", "total"}
        found += [item["session_id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        after = page["end_cursor"]
        assert page["has_next_page"] is (after is not None)
        if after is None:
            break
    assert (found, sizes) == (ids[::-1], [2, 2, 1])


@pytest.mark.parametrize(
    ("tags", "numbers"),
    [
        (["t"], [4, 3, 2, 1, 0]),
        (["n-0"], [4, 2, 0]),
        (["t", "n-1"], [3, 1]),
        (["x"], []),
        ([], [4, 3, 2, 1, 0]),
    ],
)
async def test_a_list_shows_sessions_that_carry_all_the_tags(
    wire: httpx.AsyncClient, tags: list[str], numbers: list[int]
) -> None:
    ids = [(await created(wire, tags=["t", f"n-{n % 2}"]))["session_id"] for n in range(5)]
    items = (await wire.get(f"{ORG}/sessions", params={"tags": tags})).json()["items"]
    assert [item["session_id"] for item in items] == [ids[number] for number in numbers]


@pytest.mark.parametrize(
    ("params", "status"), [({"first": 0}, 422), ({"first": 201}, 422), ({"after": "nonsense"}, 400)]
)
async def test_a_page_that_cannot_be_is_refused(wire: httpx.AsyncClient, params: dict[str, Any], status: int) -> None:
    assert (await wire.get(f"{ORG}/sessions", params=params)).status_code == status


async def test_a_terminated_session_stays_readable_and_ends_once(wire: httpx.AsyncClient) -> None:
    body = await created(wire, tags=["t"])
    path = f"{ORG}/sessions/{body['session_id']}"
    ended = await wire.delete(path)
    assert (ended.status_code, ended.json()["status"], ended.json()["status_detail"]) == (200, "exit", None)
    assert (await wire.delete(path)).status_code == 404
    assert (await wire.get(path)).json()["status"] == "exit"
    listed = (await wire.get(f"{ORG}/sessions", params={"tags": "t"})).json()["items"]
    assert [item["status"] for item in listed] == ["exit"]
    assert (await wire.post(f"{path}/messages", json={"message": "Wake up"})).status_code == 400


@pytest.mark.parametrize("asked", [True, False])
async def test_termination_archives_where_asked(wire: httpx.AsyncClient, asked: bool) -> None:
    path = f"{ORG}/sessions/{(await created(wire))['session_id']}"
    assert (await wire.delete(path, params={"archive": asked})).json()["is_archived"] is asked


async def test_an_archived_session_sleeps_until_a_message_wakes_it(wire: httpx.AsyncClient, clock: Clock) -> None:
    path = f"{ORG}/sessions/{(await created(wire))['session_id']}"
    clock.move(60)
    archived = (await wire.post(f"{path}/archive")).json()
    assert (archived["is_archived"], archived["status"], archived["status_detail"]) == (
        True,
        "suspended",
        None,
    )
    assert (await wire.get(path)).json()["status_detail"] == "user_request"
    assert (await wire.post(f"{path}/messages", json={"message": "Go on"})).json()["status"] == "resuming"
    clock.move(2)
    assert (await wire.get(path)).json()["status"] == "running"


async def test_a_conversation_pages_oldest_first(wire: httpx.AsyncClient, clock: Clock) -> None:
    path = f"{ORG}/sessions/{(await created(wire))['session_id']}"
    clock.move(3)
    await wire.post(f"{path}/messages", json={"message": "Hello"})
    clock.move(57)
    whole = (await wire.get(f"{path}/messages")).json()["items"]
    assert [item["source"] for item in whole[:3]] == ["devin", "user", "devin"]
    assert [set(item) for item in whole] == [{"created_at", "event_id", "message", "source"}] * len(whole)
    paged, after = [], None
    while True:
        params: dict[str, Any] = {"first": 2} | ({"after": after} if after else {})
        page = (await wire.get(f"{path}/messages", params=params)).json()
        paged += page["items"]
        after = page["end_cursor"]
        if after is None:
            break
    assert paged == whole


async def test_tags_are_replaced_by_put_and_added_by_post(wire: httpx.AsyncClient) -> None:
    path = f"{ORG}/sessions/{(await created(wire, tags=['a', 'b']))['session_id']}/tags"
    assert (await wire.post(path, json={"tags": ["b", "c"]})).json() == {"tags": ["a", "b", "c"]}
    assert (await wire.put(path, json={"tags": ["d"]})).json() == {"tags": ["d"]}
    assert (await wire.get(path)).json() == {"tags": ["d"]}
    assert (await wire.put(path, json={"tags": ["t"] * 51})).status_code == 422
    assert (await wire.post(path, json={"tags": [f"t{n}" for n in range(50)]})).status_code == 400


async def test_playbooks_are_made_listed_changed_and_removed(wire: httpx.AsyncClient, clock: Clock) -> None:
    made = (await wire.post(f"{ORG}/playbooks", json={"title": "T", "body": "B", "macro": "!fix"})).json()
    assert made == {
        "playbook_id": made["playbook_id"],
        "title": "T",
        "body": "B",
        "macro": "!fix",
        "access_type": "org",
        "org_id": "org-simulator",
        "created_at": BEGUN,
        "updated_at": BEGUN,
        "created_by": "service-user-simulator",
        "updated_by": "service-user-simulator",
    }
    path = f"{ORG}/playbooks/{made['playbook_id']}"
    clock.move(5)
    changed = (await wire.put(path, json={"title": "T2", "body": "B2"})).json()
    assert changed == made | {"title": "T2", "body": "B2", "macro": None, "updated_at": BEGUN + 5}
    assert (await wire.get(path)).json() == changed
    assert (await wire.get(f"{ORG}/playbooks")).json()["items"] == [changed]
    assert (await wire.delete(path)).status_code == 200
    assert (await wire.get(path)).status_code == 404
    refused = await wire.post(f"{ORG}/playbooks", json={"title": "T", "body": "B", "macro": "fix"})
    assert refused.status_code == 422


async def test_there_are_no_pages_of_documentation(wire: httpx.AsyncClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert (await wire.get(path)).status_code == 404
