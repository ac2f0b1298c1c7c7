"""The client against the simulator, in-process and over HTTP: the same story on both."""

import asyncio
from typing import Any

import pytest

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import NotFound, RefusedRequest
from remediation_assets.devin.simulator.world import World
from remediation_assets.devin.types import DevinSession

pytestmark = pytest.mark.anyio


async def start(client: DevinClient, number: int, *tags: str) -> DevinSession:
    name = f"attempt-{number}"
    prompt = f'{{"finding_id": "F-{number}", "repo_url": "https://git.example.com/acme/shop"}}'
    return await client.create_session(prompt=prompt, tags=["wave", name, *tags])


async def wave_of(client: DevinClient) -> dict[str, tuple[str | None, list[str], Any]]:
    return {
        session.tags[1]: (
            session.status_detail,
            [pull_request.url for pull_request in session.pull_requests],
            session.structured_output,
        )
        async for session in client.list_sessions(tags=["wave"])
    }


async def test_a_session_is_started_followed_talked_to_and_ended(client: DevinClient, clock: Any) -> None:
    assert await client.org_id() == "org-simulator"
    assert (await client.who_am_i()).name == "Simulator"
    started = await start(client, 1)
    assert (started.status, started.structured_output, started.acus_consumed) == ("new", None, 0.0)
    clock.now += 60
    parked = await client.get_session(started.session_id)
    assert (parked.status, parked.title, parked.created_at) == ("running", None, started.created_at)
    assert parked.updated_at > started.updated_at
    await client.send_message(started.session_id, "Thank you")
    messages = [message async for message in client.list_messages(started.session_id)]
    assert (messages[-1].source, messages[-1].text) == ("user", "Thank you")
    await client.update_tags(started.session_id, ["done"])
    assert (await client.get_session(started.session_id)).tags == ("done",)
    await client.archive_session(started.session_id)
    assert (await client.get_session(started.session_id)).is_archived
    await client.terminate_session(started.session_id)
    assert (await client.get_session(started.session_id)).status == "exit"
    with pytest.raises(NotFound):
        await client.terminate_session(started.session_id)
    with pytest.raises(NotFound):
        await client.get_session("nobody")
    with pytest.raises(RefusedRequest, match="terminated"):
        await client.send_message(started.session_id, "Hello?")


async def test_playbooks_are_made_and_listed(client: DevinClient) -> None:
    made = [await client.create_playbook(title=f"T{n}", body="B") for n in range(3)]
    assert [playbook async for playbook in client.list_playbooks()] == made


async def test_a_list_of_several_pages_is_whole(client: DevinClient, world: World) -> None:
    for number in range(450):
        world.create_session("org-simulator", "Fix it", tags=[f"attempt-{number}", "many"])
    found = [session.tags[0] async for session in client.list_sessions(tags=["many"])]
    assert found == [f"attempt-{number}" for number in reversed(range(450))]


async def test_a_wave_ends_the_same_whatever_the_order_and_concurrency(
    client: DevinClient, world: World, clock: Any, tmp_path: Any
) -> None:
    await asyncio.gather(*(start(client, number) for number in reversed(range(20))))
    other = World(tmp_path / "other.sqlite", 7, 1.0, clock)
    for number in range(20):
        prompt = f'{{"finding_id": "F-{number}", "repo_url": "https://git.example.com/acme/shop"}}'
        other.create_session("org-simulator", prompt, tags=["wave", f"attempt-{number}"])
    clock.now += 60
    expected = {
        session.tags[1]: (
            session.shows.detail,
            [session.shows.pull_request] if session.shows.pull_request else [],
            session.shows.output,
        )
        for session in other.sessions("org-simulator", ["wave"], 200, None)
    }
    other.close()
    ended = await wave_of(client)
    assert len(ended) == 20
    assert ended == expected
    assert {bool(urls) for _, urls, _ in ended.values()} == {True, False}
