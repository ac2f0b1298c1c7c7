"""The simulator's v1 on the wire: shapes, words and refusals as documented, over the world that v3 sees."""

from typing import Any

import httpx
import pytest

from remediation_assets.simulator.http.v1_bodies import status_words
from remediation_assets.simulator.world.world import World
from tests.support.clock import Clock

pytestmark = pytest.mark.anyio

V3 = "/v3/organizations/org-simulator"
WITH_V3_KEY = {"Authorization": "Bearer cog_test"}


async def created(wire: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await wire.post("/v1/sessions", json={"prompt": "Fix it"} | fields)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer cog_1", "Basic apk_1", "apk_1"])
@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/sessions/x", "/v1/playbooks", "/v1/playbooks/x"])
async def test_nothing_is_told_without_a_key(v1_wire: httpx.AsyncClient, header: str | None, path: str) -> None:
    v1_wire.headers.pop("Authorization")
    answer = await v1_wire.get(path, headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()) == (401, {"detail": "Unauthenticated"})


async def test_a_session_has_every_field_of_v1_and_no_other(v1_wire: httpx.AsyncClient, clock: Clock) -> None:
    body = await created(v1_wire, title="A fix", tags=["a", "b"], playbook_id="playbook-1", repos=["x"], unknown=1)
    hexadecimal = body["session_id"].removeprefix("devin-")
    assert body == {"session_id": f"devin-{hexadecimal}", "url": f"https://app.devin.ai/sessions/{hexadecimal}"}
    clock.move(2)
    listed = (await v1_wire.get("/v1/sessions")).json()["sessions"]
    shown = (await v1_wire.get(f"/v1/sessions/{body['session_id']}")).json()
    expected = {
        "session_id": body["session_id"],
        "status": "running",
        "status_enum": "working",
        "title": "A fix",
        "created_at": "2027-01-15T12:00:00Z",
        "updated_at": "2027-01-15T12:00:02Z",
        "snapshot_id": None,
        "playbook_id": "playbook-1",
        "tags": ["a", "b"],
        "pull_request": None,
        "structured_output": shown["structured_output"],
    }
    assert listed == [expected | {"requesting_user_email": None}]
    assert shown == expected | {"messages": shown["messages"]}
    assert shown["structured_output"]["status"] == "analyzing"
    (message,) = shown["messages"]
    assert (message["type"], message["timestamp"]) == ("devin_message", "2027-01-15T12:00:02Z")
    assert set(message) == {"type", "message", "timestamp", "event_id", "username", "origin", "user_id"}


@pytest.mark.parametrize(
    ("v3", "v1"),
    [
        (("new", None), ("running", "working")),
        (("claimed", None), ("running", "working")),
        (("running", "working"), ("running", "working")),
        (("running", "waiting_for_user"), ("running", "blocked")),
        (("running", "finished"), ("running", "finished")),
        (("suspended", "inactivity"), ("suspended", "blocked")),
        (("suspended", "user_request"), ("suspended", "blocked")),
        (("suspended", "out_of_quota"), ("suspended", "suspend_requested")),
        (("resuming", None), ("running", "resume_requested")),
        (("exit", None), ("exit", "finished")),
        (("error", None), ("error", None)),
        (("levitating", "above_the_code"), ("levitating", "above_the_code")),
    ],
)
def test_v1_has_words_of_its_own(v3: tuple[str, str | None], v1: tuple[str, str | None]) -> None:
    assert status_words(*v3) == v1


async def test_an_idempotent_creation_gives_the_session_that_had_the_prompt_whatever_became_of_it(
    v1_wire: httpx.AsyncClient,
) -> None:
    first = await created(v1_wire, idempotent=True, tags=["a"])
    assert first["is_new_session"] is True
    await v1_wire.delete(f"/v1/sessions/{first['session_id']}")
    second = await created(v1_wire, idempotent=True, tags=["b"])
    assert second == first | {"is_new_session": False}
    assert (await created(v1_wire, prompt="Fix that", idempotent=True))["is_new_session"] is True
    assert (await created(v1_wire))["session_id"] != first["session_id"]
    assert len((await v1_wire.get("/v1/sessions")).json()["sessions"]) == 3


async def test_a_list_pages_newest_first_by_offset(v1_wire: httpx.AsyncClient) -> None:
    ids = [(await created(v1_wire, tags=["t", f"n-{n % 2}"]))["session_id"] for n in range(5)]

    async def listed(**params: Any) -> list[str]:
        answer = (await v1_wire.get("/v1/sessions", params=params)).json()
        assert set(answer) == {"sessions"}
        return [session["session_id"] for session in answer["sessions"]]

    assert await listed() == ids[::-1]
    assert await listed(tags=["t", "n-1"]) == [ids[3], ids[1]]
    assert await listed(tags="t", limit=2) == [ids[4], ids[3]]
    assert await listed(tags="t", limit=2, offset=4) == [ids[0]]
    assert await listed(offset=5) == []
    assert (await v1_wire.get("/v1/sessions", params={"limit": 0})).status_code == 422


async def test_a_list_is_a_hundred_long_where_nothing_else_is_said(v1_wire: httpx.AsyncClient, world: World) -> None:
    for _ in range(103):
        world.create_session("org-simulator", "Fix it")
    assert len((await v1_wire.get("/v1/sessions")).json()["sessions"]) == 100


async def test_messages_and_termination_answer_in_v1s_words(v1_wire: httpx.AsyncClient, clock: Clock) -> None:
    path = f"/v1/sessions/{(await created(v1_wire))['session_id']}"
    clock.move(60)
    assert (await v1_wire.post(f"{path}/message", json={"message": "Hello"})).json() is None
    clock.move(4000)
    assert (await v1_wire.get(path)).json()["status"] == "suspended"
    assert "resumed" in (await v1_wire.post(f"{path}/message", json={"message": "Wake"})).json()["detail"]
    assert (await v1_wire.get(path)).json()["status_enum"] == "resume_requested"
    said = [m["message"] for m in (await v1_wire.get(path)).json()["messages"] if m["type"] == "user_message"]
    assert said == ["Hello", "Wake"]
    assert (await v1_wire.delete(path)).json() == {"detail": "Session terminated successfully"}
    assert (await v1_wire.delete(path)).status_code == 404
    assert (await v1_wire.get(path)).json()["status"] == "exit"
    assert (await v1_wire.post(f"{path}/message", json={"message": "Wake"})).status_code == 400
    assert (await v1_wire.put(f"{path}/tags", json={"tags": ["z"]})).json() == {"detail": "Tags updated successfully"}
    assert (await v1_wire.get(path)).json()["tags"] == ["z"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/sessions/devin-nobody"),
        ("DELETE", "/v1/sessions/devin-nobody"),
        ("GET", "/v1/playbooks/playbook-none"),
        ("DELETE", "/v1/playbooks/playbook-none"),
        ("GET", "/v1/nothing"),
    ],
)
async def test_what_does_not_exist_is_not_found(v1_wire: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await v1_wire.request(method, path)
    assert answer.status_code == 404
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    ("fields", "loc"), [({"prompt": None}, ["body", "prompt"]), ({"prompt": "x", "tags": ["t"] * 51}, ["body", "tags"])]
)
async def test_a_request_of_the_wrong_form_is_refused(
    v1_wire: httpx.AsyncClient, fields: dict[str, Any], loc: list[str]
) -> None:
    answer = await v1_wire.post("/v1/sessions", json=fields)
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, loc)


async def test_playbooks_are_a_bare_list(v1_wire: httpx.AsyncClient) -> None:
    made = (await v1_wire.post("/v1/playbooks", json={"title": "T", "body": "B"})).json()
    path = f"/v1/playbooks/{made['playbook_id']}"
    assert (await v1_wire.get("/v1/playbooks")).json() == [made]
    changed = (await v1_wire.put(path, json={"title": "T2", "body": "B"})).json()
    assert (await v1_wire.get(path)).json() == changed == made | {"title": "T2"}
    assert (await v1_wire.delete(path)).json() == {"detail": "Playbook deleted successfully"}
    assert (await v1_wire.get("/v1/playbooks")).json() == []


async def test_both_versions_see_one_world(v1_wire: httpx.AsyncClient, clock: Clock) -> None:
    body = await created(v1_wire, tags=["t"])
    clock.move(60)
    one = (await v1_wire.get(f"/v1/sessions/{body['session_id']}")).json()
    other = (await v1_wire.get(f"{V3}/sessions/{body['session_id']}", headers=WITH_V3_KEY)).json()
    assert one["structured_output"] == other["structured_output"]
    links = [pull_request["pr_url"] for pull_request in other["pull_requests"]]
    assert ([one["pull_request"]["url"]] if one["pull_request"] else []) == links
    assert one["tags"] == other["tags"] == ["t"]


@pytest.mark.parametrize("params", [{"offset": 10**30}, {"limit": 10**30}, {"skip": -1}])
async def test_numbers_that_cannot_be_are_refused(v1_wire: httpx.AsyncClient, params: dict[str, int]) -> None:
    assert (await v1_wire.get("/v1/sessions", params=params)).status_code == 422


async def test_skip_is_another_word_for_offset(v1_wire: httpx.AsyncClient) -> None:
    ids = [(await created(v1_wire))["session_id"] for _ in range(2)]
    answer = (await v1_wire.get("/v1/sessions", params={"skip": 1})).json()
    assert [session["session_id"] for session in answer["sessions"]] == ids[:1]
