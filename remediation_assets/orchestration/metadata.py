"""The metadata that assets and checks show in the Dagster UI: a function for each, and shared tables of rows.

The keys of numbers are an interface: the UI plots them over time, and people set alerts on them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import pandas as pd

from remediation_assets.escape import for_markdown, is_plain_url, markdown_link
from remediation_assets.findings.intake.scan import ScanResult
from remediation_assets.findings.rank import MergeCounts
from remediation_assets.ledger.transaction import Reader
from remediation_assets.orchestration.columns import describe
from remediation_assets.planning.waves import Plan
from remediation_assets.reports.scans import RowCounts
from remediation_assets.reports.waves import WaveResults
from remediation_assets.sessions.model import Hold
from remediation_assets.sessions.store.attempts import AttemptCounts
from remediation_assets.sessions.store.gate_results import GateResult

OWNERS = ["team:security"]

# The simulator's sessions have URLs of the same form as real ones, but nothing is there: only real ones become links.
_SESSION = "CASE WHEN (SELECT mode FROM stamp) = 'mock' THEN session_id ELSE session_url END AS session"

PREVIEW_ROWS = 20
_LONGEST_CELL = 200


def preview(reader: Reader, table: str, sql: str, values: list[object] | None = None) -> dg.TableMetadataValue:
    """Return the first rows of a query as a table of plain text, so that nothing in a cell is read as markup.

    Its columns are described as those of `table`.
    """
    cursor = reader.execute(f"SELECT * FROM ({sql}) LIMIT {PREVIEW_ROWS}", values or [])
    columns = [column[0] for column in cursor.description or ()]
    # As objects: in pandas' own type for integers with gaps, 3 becomes 3.0.
    frame = pd.DataFrame(cursor.fetchall(), columns=columns, dtype=object)
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord({name: _cell(value) for name, value in zip(columns, row, strict=True)})
            for row in frame.itertuples(index=False)
        ],
        schema=dg.TableSchema(columns=[dg.TableColumn(name, "string", describe(name, table)) for name in columns]),
    )


def published_table(reader: Reader, name: str) -> dict[str, Any]:
    """Return the metadata that describes a table of the published results to the UI: its name and its columns."""
    columns = [
        dg.TableColumn(column, kind, describe(column, name))
        for column, kind in reader.execute(f"SELECT column_name, column_type FROM (DESCRIBE {name})").fetchall()
    ]
    return {
        # Keys of Dagster, which shows them beside the asset.
        "dagster/table_name": f"remediation.main.{name}",
        "dagster/column_schema": dg.TableSchema(columns=columns),
    }


def links(
    reader: Reader, sql: str, values: list[object] | None = None, *, limit: int = PREVIEW_ROWS
) -> dg.MetadataValue[str]:
    """Return a query's rows as a Markdown table in which URLs are links and everything else is escaped."""
    # One more than is shown, to know whether there are more.
    cursor = reader.execute(f"SELECT * FROM ({sql}) LIMIT {limit + 1}", values or [])
    columns = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    if not rows:
        return dg.MetadataValue.text("none")
    lines = [f"| {' | '.join(for_markdown(column) for column in columns)} |", "|---" * len(columns) + "|"]
    for row in rows[:limit]:
        cells = [_link_or_text(name, value) for name, value in zip(columns, row, strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    if len(rows) > limit:
        lines.append("\nand more, in `session_results`.")
    return dg.MetadataValue.md("\n".join(lines))


def _link_or_text(column: str, value: object) -> str:
    text = _cell(value)
    return (markdown_link(text, column) if is_plain_url(text) else "") or for_markdown(text)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def findings_metadata(reader: Reader, scanned: ScanResult, rows: RowCounts, total: int) -> dict[str, Any]:
    """Return what became of the files of one scan; `total` counts the accepted rows of all current scans."""
    scan_ids = list(scanned.scan_ids)
    skipped = Counter[str]()
    for scan in scanned.new_scans:
        skipped.update(scan.skipped)
    ignored = sorted({name for scan in scanned.new_scans for name in scan.ignored_columns})
    return {
        **published_table(reader, "findings"),
        "dagster/row_count": total,
        "files": preview(
            reader,
            "files",
            """
            SELECT source, format, rows_in, accepted, rejected AS set_aside, new_findings AS new,
                unchanged_findings AS unchanged, closed_findings AS gone
            FROM scans WHERE list_contains(?, scan_id) ORDER BY scan_id
            """,
            [scan_ids],
        ),
        "scans": " ".join(map(str, scan_ids)),
        "read before": len(scanned.unchanged_scans),
        "read as Windows-1252": "\n".join(scan.source for scan in scanned.new_scans if scan.encoding_guessed) or "none",
        "rows in file": rows.rows_in,
        "accepted": rows.accepted,
        # People may plot the keys, so they stay although rows are now called rejected, skipped or closed.
        "set aside": rows.rejected,
        "left out": ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items())) or "none",
        "notes": "\n".join(f"{scan.source}: {note}." for scan in scanned.new_scans for note in scan.notes) or "none",
        "new": scanned.changes.new,
        "unchanged": scanned.changes.unchanged,
        "gone": scanned.changes.closed,
        "ignored columns": ", ".join(ignored) or "none",
        "preview": preview(
            reader, "findings", "SELECT finding_id, severity, category, service_name, title, file_path FROM findings"
        ),
        "rejected": preview(
            reader,
            "rejected_findings",
            """
            SELECT line_number, finding_id, reason FROM rejected_findings WHERE list_contains(?, scan_id) ORDER BY ALL
            """,
            [scan_ids],
        ),
    }


def normalized_findings_metadata(reader: Reader, counts: MergeCounts) -> dict[str, Any]:
    """Return how many rows were merged, and the first findings."""
    return {
        **published_table(reader, "normalized_findings"),
        "dagster/row_count": counts.kept,
        "accepted": counts.accepted,
        "kept": counts.kept,
        "merged": counts.merged,
        "preview": preview(
            reader,
            "normalized_findings",
            """
            SELECT finding_key, finding_id, severity, category, service_name, title
            FROM normalized_findings ORDER BY position
            """,
        ),
    }


def prioritized_findings_metadata(reader: Reader, count: int) -> dict[str, Any]:
    """Return the number of findings, and those with the best scores."""
    return {
        **published_table(reader, "prioritized_findings"),
        "dagster/row_count": count,
        "preview": preview(
            reader,
            "prioritized_findings",
            """
            SELECT priority_rank, priority_score, finding_id, severity, category, service_name, title
            FROM prioritized_findings ORDER BY priority_rank
            """,
        ),
    }


def waves_metadata(reader: Reader, plan: Plan) -> dict[str, Any]:
    """Return the waves of a plan, what planning changed, and which findings the next waves have."""
    chosen_waves, chosen_findings = reader.execute(
        # Of the waves to come: one that has started may have followed an earlier choice.
        """
        SELECT count(DISTINCT wave_number), count(*) FROM wave_findings
        SEMI JOIN (SELECT wave_number FROM waves WHERE chosen AND frozen_at IS NULL) USING (wave_number)
        """
    ).fetchall()[0]
    return {
        **published_table(reader, "waves"),
        "dagster/row_count": len(plan.waves),
        "findings planned": plan.planned_findings,
        "waves started": plan.frozen,
        "waves changed": len(plan.changed),
        "waves removed": ", ".join(plan.removed) or "none",
        "choice": plan.choice.words or "none",
        "chosen waves to come": chosen_waves,
        "chosen findings to come": chosen_findings,
        "preview": preview(
            reader,
            "waves at a glance",
            """
            SELECT w.wave, count(f.finding_key) AS findings, max(p.priority_score) AS best_score,
                min(p.priority_score) AS worst_score, w.chosen, w.frozen_at IS NOT NULL AS started
            FROM waves w
            LEFT JOIN wave_findings f USING (wave_number)
            LEFT JOIN finding_scores p USING (finding_key)
            GROUP BY ALL ORDER BY w.wave
            """,
        ),
        "next findings": preview(
            reader,
            "planned_findings",
            """
            SELECT p.wave, p.position, p.finding_id, p.priority_score, p.severity, p.category, p.service_name,
                p.playbook
            FROM planned_findings p
            SEMI JOIN (SELECT wave_number FROM waves WHERE frozen_at IS NULL) w ON w.wave_number = p.wave_number
            ORDER BY p.wave_number, p.position
            """,
        ),
    }


def wave_plan_metadata(reader: Reader, wave: str, count: int) -> dict[str, Any]:
    """Return the findings of a wave with their playbooks."""
    return {
        **published_table(reader, "wave_plan"),
        "dagster/partition_row_count": count,
        "preview": preview(
            reader,
            "wave_plan",
            """
            SELECT position, finding_id, priority_score, severity, category, title, playbook, playbook_version
            FROM wave_plan WHERE wave = ? ORDER BY position
            """,
            [wave],
        ),
    }


def devin_sessions_metadata(
    reader: Reader, wave: str, round_number: int, counts: AttemptCounts, holds: Sequence[Hold]
) -> dict[str, Any]:
    """Return the attempts of a wave, with links to the sessions of its round."""
    return {
        **published_table(reader, "attempts"),
        "dagster/partition_row_count": counts.attempts,
        "round": round_number,
        "waiting for a slot": counts.pending,
        "holds": "; ".join(hold.sentence for hold in holds) or "none",
        "sessions": links(
            reader,
            f"""
            SELECT p.finding_id, a.attempt, a.status, {_SESSION}, a.pr_url AS pull_request
            FROM attempts a JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
            WHERE p.wave = ? AND a.round = ? AND a.session_url IS NOT NULL ORDER BY p.position, a.attempt
            """,
            [wave, round_number],
        ),
        "preview": preview(
            reader,
            "attempts",
            """
            SELECT p.finding_id, a.attempt, a.round, a.status, a.dispatched_at, a.acus_consumed AS acus
            FROM attempts a JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
            WHERE p.wave = ? ORDER BY p.position, a.attempt
            """,
            [wave],
        ),
    }


def session_results_metadata(reader: Reader, wave: str, results: WaveResults) -> dict[str, Any]:
    """Return the results of a wave: numbers, which the UI plots over the waves, and tables."""
    # A measure without a value has no key: there is nothing to plot.
    measured = {
        "success rate": results.rate,
        "minutes to a pull request (median)": results.minutes,
        "ACUs": results.acus,
        "ACUs per success": results.acus_per_success,
    }
    return {
        **published_table(reader, "session_results"),
        "dagster/partition_row_count": results.findings,
        "succeeded": results.succeeded,
        "pull requests": results.pull_requests,
        "sessions": results.sessions,
        **{name: float(value) for name, value in measured.items() if value is not None},
        "links": links(
            reader,
            f"""
            SELECT finding_id, outcome, pr_url AS pull_request, {_SESSION} FROM session_results
            WHERE wave = ? ORDER BY position
            """,
            [wave],
        ),
        "preview": preview(
            reader,
            "session_results",
            """
            SELECT finding_id, status, outcome, attempt, round(minutes, 2) AS minutes, pr_url, session_id,
                error_message
            FROM session_results WHERE wave = ? ORDER BY position
            """,
            [wave],
        ),
    }


def gate_metadata(reader: Reader, verdict: GateResult, outcomes: Mapping[str, int]) -> dict[str, Any]:
    """Return the gate's verdict, the outcomes of the wave's findings, and the verdicts on its earlier rounds."""
    interval = verdict.interval
    return {
        "verdict": verdict.verdict.words,
        "opens the next wave": verdict.opens,
        "what to do": verdict.advice,
        "round": verdict.round,
        **({} if verdict.rate is None else {"success rate": verdict.rate}),
        "threshold": verdict.threshold,
        "95 % interval": f"{interval[0]:.0%} to {interval[1]:.0%}" if interval else "none",
        "findings": verdict.findings,
        "succeeded": verdict.succeeded,
        "counted": verdict.answerable,
        **{f"outcome {outcome}": count for outcome, count in outcomes.items()},
        "started although the wave before had not passed": verdict.ignored_gate,
        # Also findings without a result, for which is_fixed is NULL.
        "not succeeded": links(
            reader,
            f"""
            SELECT finding_id, outcome, review, attempt, error_message AS reason, {_SESSION},
                pr_url AS pull_request
            FROM session_results WHERE wave = ? AND is_fixed IS DISTINCT FROM true ORDER BY position
            """,
            [verdict.wave],
        ),
        "history": preview(
            reader,
            "gate_results",
            """
            SELECT round, decided_at, verdict, opens, succeeded, answerable AS counted, rate, threshold, ignored_gate
            FROM gate_results WHERE wave = ? ORDER BY round
            """,
            [verdict.wave],
        ),
    }
