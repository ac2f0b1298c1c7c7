"""A worker on waves: a ledger with a plan, a Devin, a clock, and the steps between them."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from remediation_assets.devin.client import DevinClient
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal, Transaction
from remediation_assets.models import Outcome
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.sessions.model import ledger_tag
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.reconcile import Pace, Step, advance, follow
from remediation_assets.sessions.store.rounds import Opening, OpenOptions, mark_collected, open_round
from remediation_assets.settings import Settings
from remediation_assets.simulator.world.world import SimulatedSession, World
from tests.support import ledgers, samples
from tests.support.clock import Clock
from tests.support.scripted_devin import ScriptedDevin

ORGANISATION = "org-simulator"

Sleep = Callable[[float], Awaitable[None]]


class Worker:
    """Opens rounds, takes steps and reads the ledger; `set` changes settings.

    Planning leaves one connection to the ledger open: DuckDB then keeps its database in this process,
    and a transaction takes 3 ms instead of 27. Tests that publish, or that share the ledger with
    another process, `let_go` of it first.
    """

    def __init__(
        self, ledger: Ledger, settings: Settings, clock: Clock, world: World, wire: ScriptedDevin, devin: DevinClient
    ) -> None:
        self.ledger = ledger
        self.settings = settings
        self.clock = clock
        self.world = world
        self.wire = wire
        self.devin = devin
        self._kept_open: duckdb.DuckDBPyConnection | None = None

    def set(self, **changes: Any) -> None:
        self.settings = self.settings.model_copy(update=changes)

    def plan(self, findings: int) -> None:
        """Read findings F-1, F-2, ... from a file, and rank and plan them."""

        def fill() -> None:
            source = samples.write(self.ledger.data_dir.parent / "findings.csv", samples.rows(findings))
            samples.ingest_file(self.ledger, source)
            samples.rank(self.ledger, self.settings)
            samples.plan(self.ledger, self.settings)

        content = ("planned", findings, self.settings.wave_size)
        ledgers.filled_once(self.ledger, content, fill)
        self._kept_open = duckdb.connect(str(self.ledger.path))

    def let_go(self) -> None:
        """Close the connection that planning left open."""
        if self._kept_open:
            self._kept_open.close()
            self._kept_open = None

    def open(self, wave: str = "wave-0001", *, ignore_gate: bool = False) -> Opening:
        with self.transaction() as tx:
            return open_round(tx, wave, read_playbooks(), OpenOptions("run", ignore_gate=ignore_gate))

    def collect(self, wave_number: int = 1) -> None:
        with self.transaction() as tx:
            mark_collected(tx, wave_number)

    @property
    def policy(self) -> Policy:
        return Policy.of(self.settings)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open a transaction that uses the test's clock."""
        with self.ledger.transaction(Journal(self.clock)) as tx:
            yield tx

    async def step(self, *, after: float = 0.0) -> Step:
        """Move the clock and take one step."""
        self.clock.move(after)
        return await advance(self.ledger, self.devin, self.policy, now=self.clock)

    async def follow(self, wave: str = "wave-0001", *, sleep: Sleep | None = None) -> list[str]:
        """Advance until the wave has settled, and return what was logged."""
        log: list[str] = []
        sleep = sleep or self.clock.sleep
        await follow(self.ledger, self.devin, self.policy, wave, log=log.append, pace=Pace(self.clock, sleep))
        return log

    async def settle(self, *outcomes: Outcome, wave: str = "wave-0001") -> None:
        """Run a round of the wave until it settles; its sessions end with these outcomes, in plan order."""
        self.open(wave)
        findings = self.rows("SELECT finding_id, finding_key FROM wave_plan WHERE wave = ? ORDER BY position", wave)
        for (finding_id, key), outcome in zip(findings, outcomes, strict=True):
            [(attempt,)] = self.rows("SELECT coalesce(max(attempt), 0) FROM attempts WHERE finding_key = ?", key)
            if outcome is Outcome.SUCCESS:
                self.wire.succeed(finding_id, attempt, repository=samples.REPOSITORY)
            else:
                self.wire.fall_over(finding_id, attempt)
        await self.follow(wave)

    def read(self, what: Callable[[Transaction], Any]) -> Any:
        with self.ledger.transaction() as tx:
            return what(tx)

    def key(self, finding_id: str) -> str:
        [(key,)] = self.rows("SELECT finding_key FROM wave_plan WHERE finding_id = ?", finding_id)
        return str(key)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.ledger.transaction() as tx:
            return tx.execute(sql, list(values)).fetchall()

    def attempts(self, columns: str) -> dict[tuple[str, int], Any]:
        """Return columns of all attempts, by finding id and attempt; a single column without a tuple."""
        found = self.rows(
            f"""
            SELECT finding_id, attempt, {columns}
            FROM attempts JOIN (SELECT finding_key, finding_id, wave_number AS wave, position FROM wave_plan)
                USING (finding_key)
            ORDER BY wave, position, attempt
            """
        )
        return {(row[0], row[1]): row[2] if len(row) == 3 else row[2:] for row in found}

    def outcomes(self) -> dict[tuple[str, int], Outcome | None]:
        """Return the outcome of each attempt, by finding id and attempt; None while it has none."""
        return self.attempts("outcome")

    def session_ids(self) -> dict[tuple[str, int], Any]:
        """Return the id of each attempt's session or None, by finding id and attempt."""
        return self.attempts("session_id")

    def sessions(self) -> list[SimulatedSession]:
        """Return the world's sessions of this ledger, the oldest first."""
        return self.world.sessions(ORGANISATION, [ledger_tag(self.ledger.ledger_id)], 1000, None)[::-1]

    def holds(self) -> list[tuple[str, bool]]:
        """Return every hold's kind and whether it is in force."""
        return self.rows("SELECT kind, lifted_at IS NULL FROM holds ORDER BY hold_id")
