"""The contract of client and simulator: the same cases on v1 and v3, in process and over HTTP."""

from typing import Any

import pytest

from remediation_assets.devin.client import DevinClient, Version
from remediation_assets.devin.errors import NotAuthorised, NotFound, RefusedRequest
from remediation_assets.devin.types import DevinSession
from remediation_assets.simulator.world.world import World
from tests.devin.conftest import KEYS
from tests.support.clock import NOON, Clock

pytestmark = pytest.mark.anyio


async def start(client: DevinClient, number: int, *tags: str) -> DevinSession:
    name = f"attempt-{number}"
    prompt = f'{{"finding_id": "F-{number}", "repo_url": "https://git.example.com/acme/shop"}}'
    return await client.create_session(prompt=prompt, tags=["wave", name, *tags])


async def test_a_session_is_started_followed_talked_to_and_ended(
    client: DevinClient, version: str, clock: Clock
) -> None:
    assert await client.org_id() == ("org-simulator" if version == "v3" else "")
    assert (await client.who_am_i()).name == ("Simulator" if version == "v3" else None)
    started = await start(client, 1)
    clock.move(3)
    at_work = await client.get_session(started.session_id)
    assert (at_work.session_id, at_work.url) == (started.session_id, started.url)
    assert (at_work.status, at_work.status_detail, at_work.pull_requests) == ("running", "working", ())
    assert at_work.structured_output["status"] == "analyzing"
    assert at_work.tags == ("wave", "attempt-1")
    assert at_work.created_at == NOON
    clock.move(57)
    parked = await client.get_session(started.session_id)
    assert (parked.status, parked.title, parked.created_at) == ("running", None, at_work.created_at)
    assert parked.updated_at > at_work.updated_at
    assert (parked.acus_consumed is None) is (version == "v1")
    await client.send_message(started.session_id, "Thank you")
    messages = [message async for message in client.list_messages(started.session_id)]
    assert [message.source for message in messages] == ["devin"] * (len(messages) - 1) + ["user"]
    assert (messages[-1].text, messages[-1].created_at) == ("Thank you", clock.now)
    await client.terminate_session(started.session_id)
    assert (await client.get_session(started.session_id)).status == "exit"
    with pytest.raises(NotFound):
        await client.terminate_session(started.session_id)
    with pytest.raises(NotFound):
        await client.get_session("nobody")
    with pytest.raises(RefusedRequest, match="terminated"):
        await client.send_message(started.session_id, "Hello?")


async def test_a_session_is_archived_where_the_version_can(client: DevinClient) -> None:
    started = await start(client, 1)
    if client.can_archive:
        await client.archive_session(started.session_id)
        await client.archive_session(started.session_id)
        assert (await client.get_session(started.session_id)).is_archived
    else:
        with pytest.raises(RefusedRequest, match="terminate"):
            await client.archive_session(started.session_id)


async def test_a_bare_id_is_as_good_as_one_with_its_prefix(client: DevinClient) -> None:
    started = await start(client, 1)
    bare = started.session_id.removeprefix("devin-")
    assert (await client.get_session(bare)).session_id == started.session_id


async def test_playbooks_are_made_and_listed(client: DevinClient) -> None:
    made = [await client.create_playbook(title=f"T{n}", body="B") for n in range(3)]
    assert [playbook async for playbook in client.list_playbooks()] == made


async def test_a_key_of_the_other_version_is_not_authorised(reached: Any, version: Version) -> None:
    origin, transport = reached
    wrong = KEYS["v1" if version == "v3" else "v3"]
    async with DevinClient(api_key=wrong, origin=origin, version=version, transport=transport) as client:
        with pytest.raises(NotAuthorised, match="401: Unauthenticated"):
            await client.who_am_i()
        with pytest.raises(NotAuthorised):
            _ = [session async for session in client.list_sessions(tags=["t"])]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": "x" * 30_000}, "shorter than 30000"),
        ({"prompt": "x", "tags": ["t"] * 51}, "50 tags"),
        ({"prompt": "x", "structured_output_schema": {"d": "x" * 65_536}}, "65536 bytes"),
        ({"prompt": "x", "max_acu_limit": 0}, "body.max_acu_limit: Input should be greater than 0"),
    ],
)
async def test_a_request_that_cannot_be_is_refused(client: DevinClient, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedRequest, match=words):
        await client.create_session(**fields)
    assert [session async for session in client.list_sessions(tags=[])] == []


async def test_the_same_request_twice_is_one_session_on_v1_and_two_on_v3(client: DevinClient, version: str) -> None:
    first, second = await start(client, 1), await start(client, 1)
    assert (first.session_id == second.session_id) is (version == "v1")


async def test_a_list_of_nothing_is_empty(client: DevinClient) -> None:
    await start(client, 1)
    assert [session async for session in client.list_sessions(tags=["nobody"])] == []


async def test_a_list_of_several_pages_is_whole(client: DevinClient, world: World) -> None:
    for number in range(450):
        world.create_session("org-simulator", "Fix it", tags=[f"attempt-{number}", "many"])
    found = [session.tags[0] async for session in client.list_sessions(tags=["many"])]
    assert found == [f"attempt-{number}" for number in reversed(range(450))]
