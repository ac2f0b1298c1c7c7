"""Cut the ranked findings into waves: every finding that needs work, highest score first.

The first claim of a wave freezes it permanently. Planning again leaves frozen waves as they are and numbers the other
waves after them. The prompt of each session belongs to `wave_plan.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from remediation_assets.ledger.transaction import Transaction


def wave_name(number: int) -> str:
    """Return the partition key of a wave, zero-padded because backfills run in the order of their keys."""
    return f"wave-{number:04d}"


@dataclass(frozen=True)
class Plan:
    """The waves after planning, in order, and the differences from the plan before."""

    waves: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    frozen: int
    planned_findings: int


@dataclass(frozen=True)
class _Wave:
    wave: str
    wave_number: int
    is_frozen: bool


def plan_waves(tx: Transaction, *, wave_size: int, now: datetime) -> Plan:
    """Cut all ranked findings outside frozen waves into waves of `wave_size` after the last frozen one.

    The same input gives the same plan: waves whose findings stay the same keep their plan number. If a wave changes,
    its rounds and attempts are deleted; none of them was claimed, so nothing was sent for them.
    """
    _cut(tx, wave_size)
    changed = _find_changed(tx)
    if changed:
        _replace(tx, now)
    tx.execute(
        """
        UPDATE state SET planned_scan_id = (SELECT max(scan_id) FROM scans)
        WHERE planned_scan_id IS DISTINCT FROM (SELECT max(scan_id) FROM scans)
        """
    )
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
    )


def freeze_waves(tx: Transaction, wave_numbers: Sequence[int], *, at: datetime) -> None:
    """Freeze waves, so that planning leaves them as they are; a wave that is already frozen keeps its time."""
    tx.execute(
        "UPDATE waves SET frozen_at = ? WHERE frozen_at IS NULL AND list_contains(?, wave_number)",
        [at, sorted(set(wave_numbers))],
    )


def _cut(tx: Transaction, wave_size: int) -> None:
    """Cut the findings outside frozen waves into the temporary table `cut`: each with its wave and its position."""
    tx.execute(
        """
        CREATE OR REPLACE TEMP TABLE cut AS
        -- Frozen waves keep their findings and their numbers: the tags of sessions at Devin name them.
        WITH frozen AS (SELECT wave_number FROM waves WHERE frozen_at IS NOT NULL),
        open_findings AS (
            SELECT s.finding_key, row_number() OVER (ORDER BY s.priority_rank) - 1 AS place
            FROM finding_scores s
            ANTI JOIN (SELECT finding_key FROM wave_findings SEMI JOIN frozen USING (wave_number)) f
                USING (finding_key))
        SELECT finding_key,
            CAST((SELECT coalesce(max(wave_number), 0) FROM frozen) + place // $size + 1 AS INTEGER) AS wave_number,
            CAST(place % $size + 1 AS INTEGER) AS position
        FROM open_findings
        """,
        {"size": wave_size},
    )


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
