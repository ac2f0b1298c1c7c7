"""The calls that tests of the client make, and what they fail with."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError

CANARY = "cog_canary-0123456789"
SESSION = {"session_id": "devin-1", "status": "new"}

Call = Callable[[DevinClient], Coroutine[Any, Any, Any]]


def create(client: DevinClient) -> Coroutine[Any, Any, Any]:
    return client.create_session(prompt="Fix it")


def read(client: DevinClient) -> Coroutine[Any, Any, Any]:
    return client.get_session("1")


async def failure_of(call: Coroutine[Any, Any, Any]) -> DevinError:
    with pytest.raises(DevinError) as caught:
        await call
    return caught.value
