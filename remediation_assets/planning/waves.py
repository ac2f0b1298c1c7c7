"""Cut the ranked findings into waves: every finding that needs work, highest score first.

The first claim of a wave freezes it permanently. Planning again leaves frozen waves as they are and numbers the other
waves after them. What comes before the rank belongs to `order.py`, the prompt of each session to `wave_plan.py`.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from remediation_assets.errors import RemediationError
from remediation_assets.escape import quoted
from remediation_assets.ledger.transaction import Reader, Transaction

from .order import NO_CHOICE, Band, Choice, Kind, band_of
from .playbooks import playbook_names


class NothingChosen(RemediationError):
    """No finding is of the kinds that a person chose; the text says which there are."""


def wave_name(number: int) -> str:
    """Return the partition key of a wave, zero-padded because backfills run in the order of their keys."""
    return f"wave-{number:04d}"


def wave_of_name(text: str) -> str | None:
    """Return the wave that a person names, as `wave-0003`, `wave-3` or `3`; None if the text names none."""
    found = re.fullmatch(r"(?:wave-)?0*([1-9][0-9]{0,8})", text.strip())
    return wave_name(int(found[1])) if found else None


@dataclass(frozen=True)
class Plan:
    """The waves after planning, in order, the differences from the plan before, and the choice that it follows."""

    waves: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    frozen: int
    planned_findings: int
    choice: Choice = NO_CHOICE


@dataclass(frozen=True)
class _Wave:
    wave: str
    wave_number: int
    is_frozen: bool


def current_choice(reader: Reader) -> Choice:
    """Return the choice that planning follows: the last one that a person made."""
    return Choice.from_text(reader.scalar("SELECT choice FROM state"))


def plan_waves(tx: Transaction, *, wave_size: int, now: datetime, choice: Choice | None = None) -> Plan:
    """Cut all ranked findings outside frozen waves into waves of `wave_size` after the last frozen one.

    The findings of a `choice` come first, in waves of their own; None follows the choice that was made last. Raise
    NothingChosen if there is no finding of a new choice.

    The same input gives the same plan: waves whose findings stay the same keep their plan number. If a wave changes,
    its rounds and attempts are deleted; none of them was claimed, so nothing was sent for them.
    """
    followed = current_choice(tx) if choice is None else choice
    kinds = _kinds(tx) if followed else []
    if choice:
        _check(kinds, choice)
    _cut(tx, wave_size, kinds, followed)
    changed = _find_changed(tx)
    if changed:
        _replace(tx, now)
    _note_what_it_follows(tx, wave_size, followed)
    waves = tx.rows(
        _Wave, "SELECT wave, wave_number, frozen_at IS NOT NULL AS is_frozen FROM waves ORDER BY wave_number"
    )
    numbers = {wave.wave_number for wave in waves}
    return Plan(
        waves=tuple(wave.wave for wave in waves),
        changed=tuple(wave_name(number) for number in changed if number in numbers),
        removed=tuple(wave_name(number) for number in changed if number not in numbers),
        frozen=sum(wave.is_frozen for wave in waves),
        planned_findings=tx.scalar("SELECT count(*) FROM cut"),
        choice=followed,
    )


def freeze_waves(tx: Transaction, wave_numbers: Sequence[int], *, at: datetime) -> None:
    """Freeze waves, so that planning leaves them as they are; a wave that is already frozen keeps its time."""
    tx.execute(
        "UPDATE waves SET frozen_at = ? WHERE frozen_at IS NULL AND list_contains(?, wave_number)",
        [at, sorted(set(wave_numbers))],
    )


def _kinds(tx: Reader) -> list[Kind]:
    """Return the kinds of all findings that scans report: there are far fewer of them than findings."""
    return tx.rows(Kind, "SELECT DISTINCT service_name, category, severity FROM normalized_findings")


def _check(kinds: Sequence[Kind], choice: Choice) -> None:
    """Raise NothingChosen if a chosen service has no findings, or if no finding is of all that is chosen together."""
    services = sorted({kind.service_name for kind in kinds})
    for name in choice.services:
        if name not in services:
            close = difflib.get_close_matches(name, services, n=5, cutoff=0.0)
            raise NothingChosen(
                f"No finding is of the service {quoted(repr(name))}; "
                + (
                    f"choose one that has some, such as {', '.join(map(quoted, close))}."
                    if close
                    else "read some first."
                )
            )
    if not any(band_of(kind, choice) is Band.CHOSEN for kind in kinds):
        raise NothingChosen(f"No finding is of {choice.words}; choose less narrowly, or plan all findings.")


def _cut(tx: Transaction, wave_size: int, kinds: Sequence[Kind], choice: Choice) -> None:
    """Cut the findings outside frozen waves into the temporary table `cut`: each with its wave and its position."""
    tx.execute("CREATE OR REPLACE TEMP TABLE chosen (finding_key VARCHAR)")
    # Not without a choice: it reads all findings.
    if chosen := [kind for kind in kinds if band_of(kind, choice) is Band.CHOSEN]:
        tx.execute(
            """
            INSERT INTO chosen
            SELECT finding_key FROM normalized_findings
            SEMI JOIN (
                SELECT unnest($services) AS service_name, unnest($categories) AS category,
                    unnest($severities) AS severity)
            USING (service_name, category, severity)
            """,
            _columns(chosen),
        )
    tx.execute(
        """
        CREATE OR REPLACE TEMP TABLE cut AS
        -- Frozen waves keep their findings and their numbers: the tags of sessions at Devin name them.
        WITH frozen AS (SELECT wave_number FROM waves WHERE frozen_at IS NOT NULL),
        open_findings AS (
            SELECT s.finding_key, s.priority_rank, c.finding_key IS NOT NULL AS chosen
            FROM finding_scores s
            LEFT JOIN chosen c ON c.finding_key = s.finding_key
            ANTI JOIN (SELECT finding_key FROM wave_findings SEMI JOIN frozen USING (wave_number)) f
                ON f.finding_key = s.finding_key),
        placed AS (
            SELECT finding_key, chosen, row_number() OVER (PARTITION BY chosen ORDER BY priority_rank) - 1 AS place
            FROM open_findings),
        -- The waves of a band follow those of the bands before it.
        before AS (
            SELECT false AS chosen, CAST(ceil(count(*) FILTER (chosen) / $size) AS BIGINT) AS waves FROM placed
            UNION ALL SELECT true, 0)
        SELECT finding_key, chosen,
            CAST((SELECT coalesce(max(wave_number), 0) FROM frozen) + b.waves + place // $size + 1 AS INTEGER)
                AS wave_number,
            CAST(place % $size + 1 AS INTEGER) AS position
        FROM placed JOIN before b USING (chosen)
        """,
        {"size": wave_size},
    )


def _columns(kinds: Sequence[Kind]) -> dict[str, list[str]]:
    return {
        "services": [kind.service_name for kind in kinds],
        "categories": [str(kind.category) for kind in kinds],
        "severities": [str(kind.severity) for kind in kinds],
    }


def _note_what_it_follows(tx: Transaction, wave_size: int, choice: Choice) -> None:
    """Store what the plan was made from; a plan that is made again from the same writes nothing."""
    tx.execute(
        """
        -- Another choice can leave a wave with the findings that it has.
        UPDATE waves SET chosen = c.chosen
        FROM (SELECT DISTINCT wave_number, chosen FROM cut) c
        WHERE waves.wave_number = c.wave_number AND waves.chosen != c.chosen
        """
    )
    # What was chosen before and has started is of no concern to whoever follows this choice.
    tx.execute(
        """
        UPDATE waves SET chosen = false
        WHERE chosen AND frozen_at IS NOT NULL AND (SELECT choice IS DISTINCT FROM ? FROM state)
        """,
        [choice.to_text()],
    )
    now = {"scan": tx.scalar("SELECT max(scan_id) FROM scans"), "size": wave_size, "choice": choice.to_text()}
    tx.execute(
        """
        UPDATE state SET planned_scan_id = $scan, wave_size = $size, choice = $choice
        WHERE (planned_scan_id, wave_size, choice) IS DISTINCT FROM ($scan, $size, $choice)
        """,
        now,
    )
    names = {str(category): name for category, name in playbook_names().items()}
    if dict(tx.execute("SELECT category, playbook FROM category_playbooks").fetchall()) != names:
        tx.execute("DELETE FROM category_playbooks")
        tx.executemany("INSERT INTO category_playbooks (category, playbook) VALUES (?, ?)", [*names.items()])


def _find_changed(tx: Transaction) -> list[int]:
    """Return the numbers of the waves that the cut changes; keep them in the temporary table `changed`, too."""
    tx.execute(
        """
        CREATE OR REPLACE TEMP TABLE changed AS
        WITH old AS (
            SELECT finding_key, wave_number, position
            FROM wave_findings SEMI JOIN (SELECT wave_number FROM waves WHERE frozen_at IS NULL) USING (wave_number)),
        new AS (SELECT finding_key, wave_number, position FROM cut)
        -- Both ways: a finding that came, one that went, and one that moved each change a wave.
        SELECT DISTINCT wave_number FROM ((FROM old EXCEPT FROM new) UNION ALL (FROM new EXCEPT FROM old))
        UNION
        -- Those that are left without a finding, after a shorter scan.
        SELECT wave_number FROM waves
        WHERE frozen_at IS NULL AND wave_number NOT IN (SELECT wave_number FROM cut)
        """
    )
    return tx.column("SELECT wave_number FROM changed ORDER BY wave_number")


def _replace(tx: Transaction, now: datetime) -> None:
    """Replace the changed waves by those of the new cut; delete their plans, rounds and attempts."""
    # Safe, because the waves are not frozen: the first claim freezes its wave in the same transaction.
    for table in ("attempts", "rounds", "wave_plan", "wave_findings", "waves"):
        tx.execute(f"DELETE FROM {table} WHERE wave_number IN (SELECT wave_number FROM changed)")
    # A `wave_plan` of before is stale by this number, and a round is not opened with it.
    tx.execute("UPDATE state SET plan_number = plan_number + 1")
    tx.execute(
        """
        INSERT INTO wave_findings (finding_key, wave_number, position)
        SELECT finding_key, wave_number, position FROM cut SEMI JOIN changed USING (wave_number)
        """
    )
    tx.execute(
        """
        INSERT INTO waves (wave, wave_number, plan_number, planned_at)
        -- The name as `wave_name` writes it.
        SELECT DISTINCT format('wave-{:04d}', wave_number), wave_number, (SELECT plan_number FROM state),
            ?::TIMESTAMPTZ
        FROM cut SEMI JOIN changed USING (wave_number)
        ORDER BY wave_number
        """,
        [now],
    )
