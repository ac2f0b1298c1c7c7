"""What the client sends again, what it never does, and when it gives up."""

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from remediation_assets.devin import transport
from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import (
    DevinError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from tests.devin.calls import SESSION, create, failure_of, read

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(500, content=b"<html>"),
        httpx.Response(429, headers={"retry-after": "60"}),
        httpx.Response(200, content=b"{"),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("gone"),
        OSError("odd"),
        RuntimeError("a library's own"),
    ],
)
async def test_a_read_that_fails_three_times_and_then_works_has_worked(answering: Any, trouble: Any) -> None:
    client, requests = answering(trouble, trouble, trouble, httpx.Response(200, json=SESSION))
    assert (await client.get_session("1")).session_id == "devin-1"
    assert len(requests) == 4


async def test_a_wait_of_more_than_a_minute_is_the_callers(answering: Any) -> None:
    client, requests = answering(httpx.Response(429, headers={"retry-after": "61"}))
    assert isinstance(await failure_of(read(client)), RateLimited)
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (RateLimited("GET", "/", 429, "", 17.0), 17.0),
        (RateLimited("GET", "/", 429, "", 0.0), 0.5),
        (RateLimited("GET", "/", 429, "", 60.0), 60.0),
        (RateLimited("GET", "/", 429, "", 60.1), False),
        (RateLimited("GET", "/", 429, ""), True),
        (Unavailable("GET", "/", None, ""), True),
        (Unavailable("GET", "/", 503, ""), True),
        (Unavailable("GET", "/", 301, ""), False),
        (NotFound("GET", "/", 404, ""), False),
    ],
)
def test_a_told_wait_is_kept_to_between_half_a_second_and_a_minute(error: Exception, waits: object) -> None:
    assert transport._worth_repeating(error) is waits or transport._worth_repeating(error) == waits


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ReadTimeout("slow"),
        httpx.ConnectTimeout("slow"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("gone"),
        httpx.WriteError("broken pipe"),
        RuntimeError("a library's own"),
    ],
)
async def test_a_creation_without_an_answer_is_unknown_and_never_sent_again(answering: Any, trouble: Exception) -> None:
    client, requests = answering(trouble)
    error = await failure_of(create(client))
    assert (type(error), error.status, len(requests)) == (OutcomeUnknown, None, 1)


@pytest.mark.parametrize(
    ("trouble", "kind", "sent"),
    [
        (httpx.ConnectError("refused"), Unavailable, 4),
        (httpx.ConnectTimeout("slow"), Unavailable, 4),
        (httpx.ReadTimeout("slow"), OutcomeUnknown, 1),
        (httpx.Response(500), OutcomeUnknown, 1),
        (httpx.Response(429), RateLimited, 1),
    ],
)
async def test_other_posts_are_sent_again_only_where_no_connection_came_about(
    answering: Any, trouble: Any, kind: type[DevinError], sent: int
) -> None:
    client, requests = answering(trouble)
    assert isinstance(await failure_of(client.send_message("1", "Hello")), kind)
    assert len(requests) == sent
    client, requests = answering(trouble)
    assert isinstance(await failure_of(client.create_playbook(title="T", body="B")), kind)
    assert len(requests) == sent


@pytest.mark.slow
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"HTTP/1.1 2"])
async def test_an_answer_lost_on_a_real_connection_is_unknown(answer: bytes) -> None:
    bodies: list[bytes] = []

    async def answer_in_part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append(await reader.readuntil(b"}"))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(answer_in_part, "127.0.0.1", 0)
    async with server, _client_of(server) as client:
        error = await failure_of(create(client))
    assert (type(error), len(bodies)) == (OutcomeUnknown, 1)


@pytest.mark.slow
async def test_a_creation_is_given_up_at_its_deadline() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server, _client_of(server) as client:
        error = await failure_of(client.create_session(prompt="Fix it", deadline_seconds=0.05))
        assert type(error) is OutcomeUnknown
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server, _client_of(server, org_id="") as client:
        error = await failure_of(client.create_session(prompt="Fix it", deadline_seconds=0.05))
        assert type(error) is Unavailable, "only the organisation was asked for"


@pytest.mark.slow
async def test_a_refused_connection_is_unavailable_when_read_and_unknown_when_created() -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    client = _client_of(server)
    server.close()
    await server.wait_closed()
    async with client:
        assert type(await failure_of(create(client))) is OutcomeUnknown
        assert isinstance(await failure_of(read(client)), Unavailable)


def _client_of(server: asyncio.Server, org_id: str = "org-1") -> DevinClient:
    port = server.sockets[0].getsockname()[1]
    return DevinClient(api_key=SecretStr("cog_test"), origin=f"http://127.0.0.1:{port}", org_id=org_id)


@pytest.mark.slow
async def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_WHOLE_ANSWER_SECONDS", 0.2)

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(200):
            writer.write(b" ")
            await asyncio.sleep(0.02)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server, _client_of(server) as client:
        assert isinstance(await failure_of(read(client)), Unavailable)
        assert isinstance(await failure_of(client.send_message("1", "Hello")), OutcomeUnknown)
