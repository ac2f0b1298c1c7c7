"""Every fault by name: how it is written, when it strikes, and what the client makes of it."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import (
    ConcurrencyCap,
    DevinError,
    NotFound,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    Unavailable,
)
from remediation_assets.devin.types import DevinSession
from remediation_assets.planning.output_schema import is_valid_output
from remediation_assets.simulator.http.app import create_app
from remediation_assets.simulator.world.faults import Faults, FaultUnusable
from remediation_assets.simulator.world.schedule import schedule_for
from remediation_assets.simulator.world.world import World
from tests.devin.calls import failure_of
from tests.support.clock import NOON, Clock

pytestmark = pytest.mark.anyio

REPOSITORY = "https://git.example.com/acme/shop"


async def start(client: DevinClient, number: int = 1) -> DevinSession:
    prompt = f'{{"finding_id": "F-{number}", "repo_url": "{REPOSITORY}"}}'
    return await client.create_session(prompt=prompt, tags=["wave", f"attempt-{number}"])


async def listed(client: DevinClient) -> list[DevinSession]:
    return [session async for session in client.list_sessions(tags=["wave"])]


def good(world: World) -> int:
    """Return the number of a session that does not get stuck."""
    return next(n for n in range(100) if not schedule_for(world.seed, f"attempt-{n}").gets_stuck)


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ([], ""),
        (["late=0.2"], "late=0.2/3"),
        (["late=0.2/1.5", "slow=0.05"], "late=0.2/1.5,slow=0.05"),
        ([" quota=3 ", "error=1"], "error=1,quota=3"),
        (["slow=1", "slow=2"], "slow=2"),
        (["rate_limit=0.5", "lost_answer=0.5"], "lost_answer=0.5,rate_limit=0.5"),
    ],
)
def test_faults_are_written_as_they_can_be_read(asked: list[str], written: str) -> None:
    assert str(Faults(asked)) == written
    assert str(Faults.read(written)) == written


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["nonsense=1"], "There is no fault 'nonsense'; there are rate_limit, "),
        (["late"], "write late=AMOUNT"),
        (["late=often"], "write late=AMOUNT"),
        (["late=1.5"], "write late=AMOUNT/SECONDS with an amount from 0 to 1"),
        (["late=-1"], "from 0 to 1"),
        (["late=nan"], "from 0 to 1"),
        (["late=1/0"], "write late=AMOUNT/SECONDS"),
        (["slow=1/2"], r"write slow=AMOUNT with an amount of 0 or more \(seconds\)"),
        (["quota=-1"], r"write quota=AMOUNT with an amount of 0 or more \(count\)"),
        (["late=0.6", "rate_limit=0.6"], "add up to more than 1"),
        (["gone=0.6", "error=0.6"], "add up to more than 1"),
    ],
)
def test_a_fault_that_cannot_be_is_an_error_for_people(asked: list[str], words: str) -> None:
    with pytest.raises(FaultUnusable, match=words):
        Faults(asked)


def test_faults_strike_as_often_as_asked_whatever_the_order() -> None:
    faults = Faults(["rate_limit=0.2", "late=0.1", "lost_answer=0.3"])
    drawn = {
        (subject, number): faults.of_post(7, f"attempt-{subject}", number)
        for subject in range(500)
        for number in (1, 2)
    }
    struck = Counter(fault.name for fault in drawn.values() if fault)
    assert {name: round(count / 100) for name, count in struck.items()} == {
        "rate_limit": 2,
        "late": 1,
        "lost_answer": 3,
    }
    assert all(Faults.read(str(faults)).of_post(7, f"attempt-{s}", n) == fault for (s, n), fault in drawn.items())
    assert drawn[0, 1] != drawn[1, 1] or drawn[0, 2] != drawn[1, 2] or drawn[2, 1] != drawn[1, 1]


def test_faults_leave_the_rest_of_a_schedule_alone() -> None:
    for number in range(50):
        plain = schedule_for(7, f"attempt-{number}")
        struck = schedule_for(7, f"attempt-{number}", Faults(["gone=1", "late=0.5"]))
        assert struck == plain.model_copy(update={"scenario": "gone"})


@pytest.mark.parametrize(
    ("fault", "kind", "words", "wait", "made"),
    [
        ("rate_limit=1", RateLimited, "Rate limit exceeded", None, 0),
        ("rate_limit_told=1", RateLimited, "Rate limit exceeded", 2.0, 0),
        ("rate_limit_told=1/17", RateLimited, "Rate limit exceeded", 17.0, 0),
        ("server_error=1", OutcomeUnknown, "503", None, 0),
        ("lost_answer=1", OutcomeUnknown, "", None, 1),
        ("concurrency_cap=0", ConcurrencyCap, "concurrent session limit of 0", None, 0),
        ("quota=0", QuotaExhausted, "out of quota", None, 0),
        ("outage=1", OutcomeUnknown, "502 Bad Gateway", None, 0),
        ("malformed=60", OutcomeUnknown, "the answer is not JSON", None, 1),
    ],
)
async def test_a_creation_that_goes_wrong_is_the_error_it_should_be(
    client: DevinClient, world: World, fault: str, kind: type[DevinError], words: str, wait: float | None, made: int
) -> None:
    await client.org_id()
    world.set_faults(Faults([fault]))
    error = await failure_of(start(client))
    assert type(error) is kind
    assert words in str(error)
    assert getattr(error, "retry_after_seconds", None) == wait
    world.set_faults(Faults())
    assert len(await listed(client)) == made


async def test_another_number_of_a_post_draws_anew(client: DevinClient, world: World) -> None:
    world.set_faults(Faults(["rate_limit=0.5"]))
    came = []
    for _ in range(12):
        try:
            await start(client)
        except RateLimited:
            came.append(False)
        else:
            came.append(True)
    assert set(came) == {True, False}


async def test_a_creation_that_is_late_is_made_although_nobody_waits(
    client: DevinClient, world: World, reached: Any
) -> None:
    # A busy machine takes its time to send a request, and what was not sent is never made.
    world.set_faults(Faults(["late=1/0.6"]))
    error = await failure_of(client.create_session(prompt="Fix it", tags=["wave"], deadline_seconds=0.3))
    assert type(error) is OutcomeUnknown
    assert await listed(client) == []
    async with asyncio.timeout(30):
        while reached[1] is None and not await listed(client):
            await asyncio.sleep(0.02)
    # In the same process, giving up cancels the simulator too.
    await asyncio.sleep(0.4)
    assert len(await listed(client)) == (1 if reached[1] is None else 0)


async def test_a_slot_is_free_once_its_session_is_ended_or_archived(client: DevinClient, world: World) -> None:
    world.set_faults(Faults(["concurrency_cap=1"]))
    first = await start(client, 1)
    assert isinstance(await failure_of(start(client, 2)), ConcurrencyCap)
    await client.terminate_session(first.session_id)
    second = await start(client, 2)
    if client.can_archive:
        await client.archive_session(second.session_id)
        await start(client, 3)


async def test_quota_that_is_gone_comes_back(client: DevinClient, world: World) -> None:
    world.set_faults(Faults(["quota=1"]))
    await start(client, 1)
    assert isinstance(await failure_of(start(client, 2)), QuotaExhausted)
    world.set_faults(Faults(["quota=2"]))
    await start(client, 2)


async def test_quota_that_ends_suspends_who_works_until_it_is_back_and_somebody_speaks(
    client: DevinClient, world: World, version: str, clock: Clock
) -> None:
    world.set_faults(Faults(["quota_suspends=2"]))
    done = good(world)
    await start(client, done)
    clock.move(60)
    await start(client, 100)
    clock.move(3)
    late = await start(client, 101)

    async def words() -> dict[str, tuple[str, str | None]]:
        return {s.tags[1]: (s.status, s.status_detail) for s in await listed(client)}

    halted = ("suspended", "out_of_quota" if version == "v3" else "suspend_requested")
    before = await words()
    assert before[f"attempt-{done}"][0] == "running"
    assert before["attempt-100"] == before["attempt-101"] == halted
    clock.move(600)
    await client.send_message(late.session_id, "Go on")
    assert (await words())["attempt-101"] == halted
    world.set_faults(Faults(["quota_suspends=3"]))
    assert (await words())["attempt-101"] == halted
    await client.send_message(late.session_id, "Go on")
    clock.move(3)
    assert (await words())["attempt-101"] == ("running", "working")
    assert (await words())["attempt-100"] == halted
    assert (await client.get_session(late.session_id)).structured_output["status"] == "analyzing"


async def test_an_outage_strikes_once_in_every_period(client: DevinClient, world: World, clock: Clock) -> None:
    world.set_faults(Faults(["outage=5/20"]))
    for age, out in ((0, True), (4.9, True), (5, False), (19.9, False), (20, True), (26, False)):
        clock.now = NOON + timedelta(seconds=age)
        if out:
            assert isinstance(await failure_of(client.who_am_i()), Unavailable)
        else:
            await client.who_am_i()


async def test_garbled_answers_come_in_the_second_half_of_every_period(
    client: DevinClient, world: World, clock: Clock
) -> None:
    world.set_faults(Faults(["malformed=5/20"]))
    for age, garbled in ((0, False), (9.9, False), (10, True), (14.9, True), (15, False), (30, True)):
        clock.now = NOON + timedelta(seconds=age)
        if garbled:
            assert isinstance(await failure_of(client.who_am_i()), Unavailable)
        else:
            await client.who_am_i()


async def test_slow_answers_come_late_and_a_creation_that_is_given_up_is_made(
    client: DevinClient, world: World
) -> None:
    await client.org_id()
    world.set_faults(Faults(["slow=1"]))
    error = await failure_of(client.create_session(prompt="Fix it", tags=["wave"], deadline_seconds=0.5))
    assert type(error) is OutcomeUnknown
    world.set_faults(Faults())
    assert len(await listed(client)) == 1


async def test_a_list_that_lags_shows_a_session_later_than_its_own_address(
    client: DevinClient, world: World, clock: Clock
) -> None:
    world.set_faults(Faults(["list_lag=5"]))
    session = await start(client)
    assert (await client.get_session(session.session_id)).session_id == session.session_id
    clock.move(4.9)
    assert await listed(client) == []
    clock.move(0.1)
    assert len(await listed(client)) == 1


@pytest.mark.parametrize(
    ("scenario", "at", "status", "has_pull_request", "output"),
    [
        ("error", 60, "error", False, True),
        ("unknown_words", 4, "levitating", False, True),
        ("unknown_words", 60, "running", True, True),
        ("pr_first", 31, "running", True, True),
        ("pr_first", 60, "running", True, True),
        ("no_output", 4, "running", False, None),
        ("no_output", 60, "running", True, None),
        ("invalid_output", 60, "running", True, False),
    ],
)
async def test_a_session_can_be_scripted(
    client: DevinClient,
    world: World,
    clock: Clock,
    scenario: str,
    at: float,
    status: str,
    has_pull_request: bool,
    output: bool | None,
) -> None:
    world.set_faults(Faults([f"{scenario}=1"]))
    schedules = ((n, schedule_for(world.seed, f"attempt-{n}")) for n in range(1000))
    # One that is testing after 31 seconds.
    number = next(
        n
        for n, s in schedules
        if not s.gets_stuck and s.analyzing + s.fixing < 30 < 32 < s.analyzing + s.fixing + s.testing
    )
    session = await start(client, number)
    clock.move(at)
    shown = await client.get_session(session.session_id)
    assert (shown.status, bool(shown.pull_requests)) == (status, has_pull_request)
    assert (is_valid_output(shown.structured_output) if shown.structured_output else None) is output
    if scenario == "pr_first" and at == 31:
        assert shown.status_detail == "working"


async def test_a_session_can_vanish(client: DevinClient, world: World, clock: Clock) -> None:
    world.set_faults(Faults(["gone=1"]))
    session = await start(client)
    clock.move(4)
    assert len(await listed(client)) == 1
    clock.move(7)
    assert await listed(client) == []
    assert isinstance(await failure_of(client.get_session(session.session_id)), NotFound)
    assert isinstance(await failure_of(client.terminate_session(session.session_id)), NotFound)


async def test_the_control_endpoint_changes_what_goes_wrong(world: World) -> None:
    app = create_app(world, controlled=True)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(base_url="http://simulator", transport=transport) as http:
        asked = {"faults": ["outage=60", "late=0.1"]}
        answer = await http.put("/simulator/faults", json=asked)
        assert (answer.status_code, answer.json()) == (200, {"faults": ["late=0.1/3", "outage=60/60"]})
        assert str(world.faults) == "late=0.1/3,outage=60/60"
        assert (await http.get("/v3/self")).status_code == 502
        refused = await http.put("/simulator/faults", json={"faults": ["nonsense=1"]})
        assert (refused.status_code, "no fault 'nonsense'" in refused.json()["detail"]) == (422, True)
        assert (await http.get("/simulator/faults")).json() == answer.json()


async def test_the_control_endpoint_exists_only_where_it_was_asked_for(wire: httpx.AsyncClient) -> None:
    assert (await wire.get("/simulator/faults")).status_code == 404
    assert (await wire.put("/simulator/faults", json={"faults": []})).status_code == 404


async def test_a_session_in_error_stays_so_and_listens_no_more(client: DevinClient, world: World, clock: Clock) -> None:
    world.set_faults(Faults(["error=1"]))
    session = await start(client)
    clock.move(10_000)
    assert (await client.get_session(session.session_id)).status == "error"
    with pytest.raises(DevinError, match="terminated"):
        await client.send_message(session.session_id, "Hello?")


async def test_a_session_may_vanish_while_its_creation_is_answered(client: DevinClient, world: World) -> None:
    world.set_faults(Faults(["gone=1"]))
    world.time_scale = 1e9
    assert (await start(client)).session_id


async def test_a_stuck_session_too_shows_its_pull_request_first(
    client: DevinClient, world: World, clock: Clock
) -> None:
    world.set_faults(Faults(["pr_first=1"]))
    stuck = next(n for n in range(100) if schedule_for(world.seed, f"attempt-{n}").gets_stuck)
    session = await start(client, stuck)
    clock.move(31)
    assert len((await client.get_session(session.session_id)).pull_requests) == 1


async def test_an_archived_session_that_is_woken_takes_a_slot_again(client: DevinClient, world: World) -> None:
    if not client.can_archive:
        return
    world.set_faults(Faults(["concurrency_cap=1"]))
    first = await start(client, 1)
    await client.archive_session(first.session_id)
    await client.send_message(first.session_id, "Go on")
    assert isinstance(await failure_of(start(client, 2)), ConcurrencyCap)


def test_shares_that_are_just_enough_stay_so_when_they_are_written() -> None:
    faults = Faults(["late=0.3333335", "lost_answer=0.3333335", "rate_limit=0.333333"])
    assert str(Faults.read(str(faults))) == str(faults)


async def test_what_another_process_does_to_a_session_is_not_undone_by_a_message(world: World, clock: Clock) -> None:
    world.set_faults(Faults(["quota_suspends=1"]))
    seen_at_work = world.create_session("org-simulator", "Fix it", tags=["attempt-1"])
    clock.move(3)
    world.create_session("org-simulator", "Fix that", tags=["attempt-2"])
    told = world.send_message(seen_at_work, "Go on")
    assert (told.shows.status, told.shows.detail) == ("suspended", "out_of_quota")


def test_shares_that_are_one_in_all_are_taken() -> None:
    Faults(["rate_limit=0.05", "rate_limit_told=0.05", "server_error=0.1", "lost_answer=0.8"])
