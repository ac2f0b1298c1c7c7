"""A transport to the simulator with the faults and the evidence that a test chooses.

Findings are named by their id, which is in the title and the tags of each session.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from remediation_assets.simulator.http.transport import SimulatorTransport
from remediation_assets.simulator.world.world import World

Answer = httpx.Response | BaseException


@dataclass
class Fault:
    """An answer instead of the simulator's, for `times` requests; with `late` the simulator acts before it."""

    method: str
    path: str
    answer: Answer
    about: str
    late: bool
    times: int


class ScriptedDevin(httpx.AsyncBaseTransport):
    """Passes requests to a world, records them, fails some, and rewrites what sessions show.

    Sessions of findings that are `unlisted` are missing from lists; those `gone` are not found at all.
    """

    def __init__(self, world: World) -> None:
        self._simulator = SimulatorTransport(world)
        self._faults: list[Fault] = []
        self._shows: dict[tuple[str, int], dict[str, Any]] = {}
        self.unlisted: set[str] = set()
        self.gone: set[str] = set()
        self.requests: list[tuple[str, str, bytes]] = []
        self.before_create: Callable[[], None] = lambda: None
        self.answer_create: Callable[[httpx.Request], Awaitable[httpx.Response]] | None = None

    def fail(
        self,
        method: str,
        path: str,
        answer: Answer | int,
        *,
        about: str = "",
        late: bool = False,
        times: int = 1,
    ) -> None:
        """Answer requests whose path ends in the pattern and whose body contains `about` with a fault."""
        if isinstance(answer, int):
            answer = httpx.Response(answer, json={"detail": f"answer {answer}"})
        self._faults.append(Fault(method, path, answer, about, late, times))

    def fail_create(self, answer: Answer | int, finding_id: str = "", *, late: bool = False, times: int = 1) -> None:
        """Fail the create request of a finding's session, or the next one."""
        about = f'"finding-{finding_id}"' if finding_id else ""
        self.fail("POST", "/sessions", answer, about=about, late=late, times=times)

    def show(self, finding_id: str, attempt: int = 1, **fields: Any) -> None:
        """Make a session show these API fields whenever it is read."""
        self._shows[finding_id, attempt] = fields

    def succeed(self, finding_id: str, attempt: int = 1, *, repository: str) -> None:
        pull_request = {"pr_url": f"{repository}/pull/{attempt}", "pr_state": "open"}
        self.show(
            finding_id,
            attempt,
            status="running",
            status_detail="finished",
            pull_requests=[pull_request],
            structured_output=None,
        )

    def fall_over(self, finding_id: str, attempt: int = 1) -> None:
        """Make a session end in an error."""
        self.show(finding_id, attempt, status="error", status_detail=None, pull_requests=[], structured_output=None)

    def work_on(self, finding_id: str, attempt: int = 1) -> None:
        """Make a session work without end."""
        self.show(finding_id, attempt, status="running", status_detail="working", pull_requests=[])

    def ask(self, finding_id: str, attempt: int = 1) -> None:
        """Make a session wait for a person."""
        fields = {"status": "running", "status_detail": "waiting_for_user", "pull_requests": []}
        self.show(finding_id, attempt, structured_output=None, **fields)

    def created(self) -> list[dict[str, Any]]:
        """Return the bodies of all create requests, in order."""
        return [json.loads(body) for method, path, body in self.requests if _is_create(method, path)]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, request.content
        self.requests.append((request.method, path, body))
        if _is_create(request.method, path):
            self.before_create()
            if self.answer_create:
                return await self.answer_create(request)
        fault = self._fault_for(request.method, path, body)
        if fault is None or fault.late:
            answer = await self._simulator.handle_async_request(request)
            content = await answer.aread()
        if fault is not None:
            if isinstance(fault.answer, BaseException):
                raise fault.answer
            return httpx.Response(fault.answer.status_code, headers=fault.answer.headers, content=fault.answer.content)
        if request.method == "GET" and answer.status_code == 200:
            shown = self._rewritten(json.loads(content))
            if _finding_of(shown) in self.gone:
                return httpx.Response(404, json={"detail": "Session not found"})
            content = json.dumps(shown).encode()
        return httpx.Response(answer.status_code, content=content)

    async def aclose(self) -> None:
        await self._simulator.aclose()

    def _fault_for(self, method: str, path: str, body: bytes) -> Fault | None:
        for fault in self._faults:
            fits = fault.method == method and re.search(fault.path + "$", path) and fault.about.encode() in body
            if fits and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def _rewritten(self, body: Any) -> Any:
        if "items" in body:
            hidden = self.unlisted | self.gone
            return body | {
                "items": [self._rewritten(item) for item in body["items"] if _finding_of(item) not in hidden]
            }
        named = re.fullmatch(_TITLE, body.get("title") or "")
        return body | self._shows.get((named[1], int(named[2])), {}) if named else body


_TITLE = r"Remediate (.+) \(attempt (\d+)\)"


def _finding_of(body: Any) -> str | None:
    named = re.fullmatch(_TITLE, body.get("title") or "")
    return named[1] if named else None


def _is_create(method: str, path: str) -> bool:
    return method == "POST" and path.endswith("/sessions")
