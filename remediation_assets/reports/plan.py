"""What is planned, before anything runs: the findings of each wave, and what they are together."""

from collections.abc import Sequence
from dataclasses import dataclass

from remediation_assets.ledger.transaction import Reader
from remediation_assets.models import FindingCategory, Severity
from remediation_assets.reports.details import ATTEMPT_STATUS


@dataclass(frozen=True)
class PlannedRow:
    """A finding of a wave, with the status of its last attempt and that attempt's pull request."""

    wave: str
    position: int
    finding_key: str
    finding_id: str
    priority_score: float
    severity: Severity
    category: FindingCategory
    service_name: str
    repo_url: str
    title: str
    playbook: str | None
    status: str
    attempt: int | None
    pr_url: str | None
    error_message: str | None


def planned_rows(reader: Reader, waves: Sequence[str] | None = None) -> list[PlannedRow]:
    """Load the findings of some waves in order, or of all waves."""
    return reader.rows(
        PlannedRow,
        f"""
        SELECT p.wave, p.position, p.finding_key, p.finding_id, p.priority_score, p.severity, p.category,
            p.service_name, p.repo_url, p.title, p.playbook, {ATTEMPT_STATUS} AS status, a.attempt, a.pr_url,
            a.error_message
        FROM planned_findings p
        LEFT JOIN last_reviewed_attempts a ON a.finding_key = p.finding_key AND a.wave_number = p.wave_number
        WHERE $waves IS NULL OR list_contains($waves, p.wave)
        ORDER BY p.wave_number, p.position
        """,
        {"waves": waves if waves is None else list(waves)},
    )


@dataclass(frozen=True)
class NextWaves:
    """The next waves that nobody has started, and how many findings come after them."""

    waves: Sequence[str]
    later_findings: int


def next_waves(reader: Reader, *, most: int = 3) -> NextWaves:
    """Find the next waves that nobody has started."""
    rows = reader.execute(
        """
        SELECT w.wave, count(f.finding_key) FROM waves w
        ANTI JOIN rounds r ON r.wave_number = w.wave_number
        LEFT JOIN wave_findings f ON f.wave_number = w.wave_number
        GROUP BY w.wave, w.wave_number ORDER BY w.wave_number
        """
    ).fetchall()
    return NextWaves([wave for wave, _ in rows[:most]], sum(findings for _, findings in rows[most:]))


def repositories_to_start(reader: Reader, *, chosen_only: bool) -> list[tuple[str, int]]:
    """Count by repository the findings of the waves that nobody has started, the most first."""
    return reader.execute(
        """
        SELECT repo_url, count(*) FROM planned_findings
        SEMI JOIN (
            SELECT wave_number FROM waves ANTI JOIN rounds USING (wave_number) WHERE chosen OR NOT $chosen_only)
        USING (wave_number)
        GROUP BY repo_url ORDER BY count(*) DESC, repo_url
        """,
        {"chosen_only": chosen_only},
    ).fetchall()


@dataclass(frozen=True)
class ChosenWaves:
    """How far the findings are that a person chose to be first."""

    waves: int
    not_started: int


def chosen_waves(reader: Reader) -> ChosenWaves:
    """Count the waves of chosen findings."""
    return reader.one(
        ChosenWaves,
        """
        SELECT count(*) AS waves, count(*) FILTER (r.round IS NULL) AS not_started
        FROM waves w LEFT JOIN last_rounds r USING (wave_number) WHERE w.chosen
        """,
    )


@dataclass(frozen=True)
class Mix:
    """How the findings that scans report are spread, and which of them are ranked best."""

    by_severity: Sequence[tuple[str, int]]
    by_category: Sequence[tuple[str, int]]
    best: Sequence[tuple[str, float, str, str, str]]
    """The best-ranked findings: id, score, severity, service, title."""


def mix_of_findings(reader: Reader, *, best: int = 5) -> Mix:
    """Count the findings by severity, worst first, and by category, the most first; load those with the best scores."""
    counts = dict(reader.execute("SELECT severity, count(*) FROM normalized_findings GROUP BY ALL").fetchall())
    return Mix(
        [(str(severity), counts[severity]) for severity in Severity if severity in counts],
        reader.execute(
            "SELECT category, count(*) FROM normalized_findings GROUP BY ALL ORDER BY count(*) DESC, category"
        ).fetchall(),
        reader.execute(
            """
            -- The few keys first: the wide columns are then read for these alone.
            WITH best AS (SELECT * FROM finding_scores ORDER BY priority_rank LIMIT ?)
            SELECT finding_id, b.priority_score, severity, service_name, title
            FROM best b JOIN normalized_findings USING (finding_key) ORDER BY b.priority_rank
            """,
            [best],
        ).fetchall(),
    )
