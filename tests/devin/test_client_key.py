"""The API key stays where it belongs: in the header of a request."""

import logging
import traceback
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import NotAuthorised, NotFound
from tests.devin.calls import CANARY, SESSION, Call, create, failure_of, read

pytestmark = pytest.mark.anyio


def escaped(key: str) -> bytes:
    return "".join(f"\\u{ord(character):04x}" for character in key).encode()


def echo(key: str, where: str) -> httpx.Response | Exception:
    answers: dict[str, httpx.Response | Exception] = {
        "401": httpx.Response(401, json={"detail": f"Key {key} is revoked"}),
        "422": httpx.Response(422, json={"detail": [{"loc": ["header"], "msg": f"Bearer {key}"}]}),
        "500": httpx.Response(500, content=f"<html>{key}".encode()),
        "no JSON": httpx.Response(200, content=f"Bearer {key}".encode()),
        "redirect": httpx.Response(302, headers={"location": f"https://x.test/?key={key}"}),
        "never sent": httpx.ConnectError(f"Illegal header value b'Bearer {key}'"),
        "escaped": httpx.Response(401, content=b'{"detail": "' + escaped(key) + b'"}'),
        "escaped, no JSON": httpx.Response(200, content=b'["' + escaped(key) + b'"]'),
        "lost": httpx.LocalProtocolError(f"Illegal header value b'Bearer {key}'"),
    }
    return answers[where]


@pytest.mark.parametrize(
    "where", ["401", "422", "500", "no JSON", "redirect", "never sent", "lost", "escaped", "escaped, no JSON"]
)
@pytest.mark.parametrize("call", [create, read])
@pytest.mark.parametrize("key", [CANARY, "apk_user_0123456789", "no-prefix-0123456789"])
async def test_the_key_is_nowhere_in_error_log_or_repr(
    answering: Any, where: str, call: Call, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client, _ = answering(echo(key, where), key=key)
    error = await failure_of(call(client))
    shown = [str(error), repr(error), error.detail, repr(client), repr(vars(client)), caplog.text]
    shown += traceback.format_exception(error)
    assert not [text for text in shown if "0123456789" in text]


@pytest.mark.parametrize("version", ["v1", "v3"])
async def test_the_key_is_in_no_log_of_a_real_connection(
    served: Any, world: Any, version: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="httpcore")
    app, origin = served
    app.state.world = world
    key = SecretStr({"v1": "apk", "v3": "cog"}[version] + "_canary-0123456789")
    async with DevinClient(api_key=key, origin=origin, version=version) as client:
        session = await client.create_session(prompt="Fix it")
        await client.get_session(session.session_id)
        with pytest.raises(NotFound):
            await client.get_session("nobody")
    assert "httpcore" in caplog.text
    assert "0123456789" not in caplog.text


async def test_an_answer_that_echoes_the_key_does_not_bring_it_into_a_payload(answering: Any) -> None:
    client, _ = answering(httpx.Response(200, json=SESSION | {"title": f"Bearer {CANARY}"}), key=CANARY)
    session = await client.get_session("1")
    assert (session.title, session.raw["title"]) == ("Bearer [redacted]", "Bearer [redacted]")
    body = (
        b'{"session_id": "1", "title": "' + escaped(CANARY) + b'", "structured_output": ["' + escaped(CANARY) + b'"]}'
    )
    client, _ = answering(httpx.Response(200, content=body), key=CANARY)
    session = await client.get_session("1")
    assert (session.title, session.structured_output) == ("[redacted]", ["[redacted]"])


async def test_someone_elses_key_is_not_shown_either(answering: Any) -> None:
    client, _ = answering(httpx.Response(400, json={"detail": f"{CANARY} and apk_user_x-y are keys"}))
    assert (await failure_of(read(client))).detail == "cog_[redacted] and apk_[redacted] are keys"


@pytest.mark.parametrize("key", ["", "cog_0123456789\n", "cog_0123456789\N{SNOWMAN}", "cog_01234 56789"])
async def test_a_key_that_cannot_be_one_is_never_sent_nor_shown(answering: Any, key: str) -> None:
    client, requests = answering(httpx.Response(200, json=SESSION), key=key)
    for call in (create, read):
        error = await failure_of(call(client))
        assert isinstance(error, NotAuthorised)
        assert "DEVIN_API_KEY" in str(error)
        assert "01234" not in "".join(traceback.format_exception(error))
    assert requests == []
