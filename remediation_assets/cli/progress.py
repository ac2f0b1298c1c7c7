"""Progress of a run: a live table on a terminal, plain lines elsewhere.

Reads the published results only. Everything shown may come from a scanner or from Devin, so control characters are
removed and nothing is read as markup.
"""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from remediation_assets.escape import plain
from remediation_assets.ledger.errors import NothingPublished
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import GateVerdict
from remediation_assets.reports.waves import Around, waves_around_the_work
from remediation_assets.sessions.store.events import all_events_since, newest_event
from remediation_assets.wording import counted

# The simulator names its sessions as the real service does, where nobody would find them.
_SIMULATED = re.compile(r"https://app\.devin\.ai/sessions/(\S+)")

_COLOURS = {GateVerdict.PASSED: "green", GateVerdict.FAILED: "red", GateVerdict.NOT_JUDGED: "yellow"}


def own_console() -> Console:
    """Return a console on a file descriptor of its own: Dagster redirects standard output while a step runs."""
    return Console(file=os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1), highlight=False)


def wave_table(waves: Around, *, framed: bool = True) -> Table:
    """Return the table of waves; the caption counts the waves that are not shown."""
    table = Table("wave", "findings", "succeeded", "failed", "at work", "gate", box=HEAVY_HEAD if framed else None)
    if waves.earlier or waves.later:
        table.caption = f"{counted(waves.earlier, 'wave')} before these and {waves.later:,} after them"
    for state in waves.states:
        gate = Text(state.verdict.words, _COLOURS[state.verdict]) if state.verdict else Text("")
        counts = (state.findings, state.succeeded, state.failed, state.at_work)
        table.add_row(state.wave, *map(str, counts), gate)
    return table


class Progress:
    """Shows new events in a thread of its own while a run goes on in the main thread."""

    def __init__(self, ledger: Ledger, console: Console, *, mock: bool) -> None:
        self._ledger = ledger
        self._console = console
        self._mock = mock
        self._last_event = self._newest_event()
        self._stop = threading.Event()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress for as long as the block lasts."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            # The thread may be asleep, and what happened since its last turn is shown below.
            self._stop.set()
            thread.join()
            self._print_events()

    def _watch(self) -> None:
        if not self._console.is_terminal:
            while not self._stop.wait(0.5):
                self._print_events()
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while not self._stop.wait(0.5):
                self._print_events()
                with suppress(NothingPublished, duckdb.Error), self._ledger.published() as connection:
                    live.update(wave_table(waves_around_the_work(connection)), refresh=True)

    def _print_events(self) -> None:
        # If the published file is being replaced at this moment, the next turn reads it.
        with suppress(NothingPublished, duckdb.Error):
            with self._ledger.published() as results:
                events = all_events_since(results, self._last_event)
            for event in events:
                self._last_event = event.event_id
                message = plain(
                    _SIMULATED.sub(r"simulated session devin-\1", event.message) if self._mock else event.message
                )
                # Without wrapping: a URL that is cut into lines cannot be clicked or copied.
                self._console.print(f"{event.timestamp:%H:%M:%S} {message}", markup=False, soft_wrap=True)

    def _newest_event(self) -> int:
        with suppress(NothingPublished, duckdb.Error), self._ledger.published() as results:
            return newest_event(results)
        return 0
