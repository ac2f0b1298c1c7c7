"""The queries behind the pages of one finding and one session, and queries shared with the lists of `pages.py`.

They read the published results and return rows as dictionaries.
"""

import json
from collections.abc import Sequence
from typing import Any

from remediation_assets.ledger.transaction import Reader

Row = dict[str, Any]

ATTEMPT_STATUS = """
CASE WHEN a.counted_outcome != a.outcome THEN a.review
    WHEN a.outcome = 'cancelled' THEN 'stopped'
    WHEN a.outcome = 'vanished' THEN 'vanished'
    ELSE coalesce(a.status, 'pending') END"""
"""SQL for the status of attempt `a` as pages show it; pending without an attempt.

A review that overrides the outcome comes first. An attempt that was stopped, or whose session vanished, is not shown as
failed, because it counts as a failure nowhere.
"""

MINUTES = """
date_diff('second', a.dispatched_at,
    greatest(a.dispatched_at, coalesce(a.completed_at, (SELECT last_poll_at FROM state)))) / 60.0"""
"""SQL for how long the session of attempt `a` has taken; NULL without a session.

It is counted until the last poll, because a published copy knows nothing of what came later. A session that was
started after that poll has taken no time yet.
"""


def finding(reader: Reader, finding_key: str) -> Row | None:
    """Return a finding with its attempts, reviews and events; None if the key is unknown.

    A finding that the last scan no longer reports is read from the plan of its wave.
    """
    known = reader.records(
        """
        SELECT * EXCLUDE (position) FROM (
            -- What scans report now comes before what was planned once.
            SELECT n.*, s.priority_score, s.priority_rank, 1 AS place
            FROM normalized_findings n LEFT JOIN finding_scores s USING (finding_key) WHERE n.finding_key = $key
            UNION ALL BY NAME
            SELECT * EXCLUDE (playbook, playbook_version, prompt, plan_number), 2 AS place
            FROM wave_plan WHERE finding_key = $key)
        ORDER BY place LIMIT 1
        """,
        {"key": finding_key},
    )
    if not known:
        return None
    attempts = reader.records(
        f"""
        SELECT a.attempt, a.round, a.session_id, a.session_url, {ATTEMPT_STATUS} AS status, a.outcome, a.pr_url,
            a.error_message, a.playbook, a.playbook_version, a.dispatched_at, a.completed_at, a.acus_consumed,
            a.wave_number, a.review AS verdict, a.reviewer
        FROM reviewed_attempts a
        WHERE a.finding_key = ? ORDER BY a.attempt DESC
        """,
        [finding_key],
    )
    waves = reader.column(
        """
        SELECT wave FROM wave_findings JOIN waves USING (wave_number) WHERE finding_key = ? ORDER BY wave_number
        """,
        [finding_key],
    )
    return known[0] | {
        "attempts": attempts,
        "reviews": review_rows(reader, "finding_key = ?", [finding_key]),
        "events": _events(reader, "finding_key = ?", [finding_key]),
        "planned_in": waves,
    }


def session(reader: Reader, session_id: str) -> Row | None:
    """Return a session's attempt with its finding, Devin's report, reviews and events; None if the id is unknown."""
    found = reader.records(
        f"""
        SELECT p.finding_key, p.finding_id, p.title, p.service_name, p.severity, p.category, p.file_path, p.line_number,
            p.repo_url, p.wave, a.attempt, a.round, a.session_id, a.session_url, {ATTEMPT_STATUS} AS status, a.outcome,
            a.api_status, a.api_detail, a.dispatched_at, a.completed_at, a.observed_at, a.pr_url, a.error_message,
            a.acus_consumed, a.playbook, a.playbook_version, o.pull_requests, o.structured_output, o.output_valid,
            {MINUTES} AS minutes,
            (SELECT max(attempt) FROM attempts l WHERE l.finding_key = a.finding_key) AS last_attempt
        FROM reviewed_attempts a
        JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
        LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
        WHERE a.session_id = ?
        """,
        [session_id],
    )
    if not found:
        return None
    row = found[0]
    of_attempt = [row["finding_key"], row["attempt"]]
    return row | {
        "report": report(row["structured_output"]),
        "pr_states": pull_request_states(row["pull_requests"]),
        "reviews": review_rows(reader, "finding_key = ? AND attempt = ?", of_attempt),
        "events": _events(reader, "finding_key = ? AND attempt = ?", of_attempt),
        "stages": reader.records(
            """
            SELECT stage, minutes_at_least FROM session_stages
            WHERE finding_key = ? AND attempt = ? ORDER BY first_seen_at
            """,
            of_attempt,
        ),
        "attempts": reader.records(
            "SELECT attempt, session_id, status FROM attempts WHERE finding_key = ? ORDER BY attempt",
            [row["finding_key"]],
        ),
    }


def report(structured_output: str | None) -> Row:
    """Return the fields of Devin's structured output that pages show; fields of an unexpected type are dropped.

    The output need not match the schema, because it is stored as the session wrote it.
    """
    try:
        output = json.loads(structured_output) if structured_output else None
    except (ValueError, RecursionError):
        # It may be nested too deeply for the parser; the page has to come all the same.
        output = None
    if not isinstance(output, dict):
        return {}
    texts = {name: output[name] for name in ("status", "current_step", "fix_approach", "confidence", "error_message")
             if isinstance(output.get(name), str)}  # fmt: skip
    numbers = {
        name: output[name]
        for name in ("progress_pct", "tests_added")
        # In Python a bool is an int.
        if isinstance(output.get(name), int | float) and not isinstance(output[name], bool)
    }
    files = output.get("files_modified")
    passed = output.get("tests_passed")
    return {
        **texts,
        **numbers,
        **({"tests_passed": passed} if isinstance(passed, bool) else {}),
        **({"files": [one for one in files if isinstance(one, str)][:50]} if isinstance(files, list) else {}),
    }


def pull_request_states(pull_requests: str | None) -> dict[str, str]:
    """Return the states of pull requests by address; a pull request whose state the API did not report is missing."""
    try:
        listed = json.loads(pull_requests) if pull_requests else []
    except (ValueError, RecursionError):
        return {}
    return {
        str(one["url"]): str(one["state"]).lower()
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and one.get("url") and one.get("state")
    }


def simulated_session(reader: Reader, session_id: str) -> Row | None:
    """Return what the simulator last answered about a session, None if the id is unknown.

    `answer` is empty if the simulator has not been asked yet.
    """
    found = reader.records(
        """
        SELECT p.title, p.finding_id, a.session_id, o.observed_at, o.raw
        FROM attempts a
        JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
        LEFT JOIN observations o ON o.finding_key = a.finding_key AND o.attempt = a.attempt
        WHERE a.session_id = ?
        """,
        [session_id],
    )
    return found[0] | {"answer": _answer(found[0]["raw"])} if found else None


def _answer(raw: str | None) -> Row:
    """Return the parts of an answer of either version of the API, as texts and lists of texts."""
    try:
        fields = json.loads(raw) if raw else None
        if not isinstance(fields, dict):
            return {}
        output = fields.get("structured_output")
        shown_output = "" if output is None else json.dumps(output, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return {}
    detail = fields.get("status_detail") or fields.get("status_enum")
    pull_requests = [*_objects(fields.get("pull_requests")), *_objects([fields.get("pull_request")])]
    return {
        "status": str(fields.get("status") or ""),
        "detail": str(detail or ""),
        "output": shown_output,
        "pull_requests": [
            (str(one.get("pr_url") or one.get("url") or ""), str(one.get("pr_state") or "")) for one in pull_requests
        ],
        "messages": [
            (str(one.get("type") or one.get("source") or ""), str(one.get("message") or ""))
            for one in _objects(fields.get("messages"))
        ],
    }


def _objects(value: object) -> list[Row]:
    return [one for one in value[:50] if isinstance(one, dict)] if isinstance(value, list) else []


def review_rows(reader: Reader, where: str, values: Sequence[object], limit: int = 100) -> list[Row]:
    """Return the latest reviews that meet a condition, newest first, with the ids and titles of their findings."""
    return reader.records(
        f"""
        SELECT v.attempt, v.verdict, v.reviewer, v.reason, v.reviewed_at, v.pr_url, v.finding_key, p.finding_id, p.title
        -- Limited before the join, so that the wide plan is read for the shown rows only.
        FROM (SELECT * FROM reviews WHERE {where} ORDER BY review_id DESC LIMIT {int(limit)}) v
        LEFT JOIN wave_plan p ON p.finding_key = v.finding_key AND p.wave_number = v.wave_number
        ORDER BY v.review_id DESC
        """,
        values,
    )


def _events(reader: Reader, where: str, values: Sequence[object]) -> list[Row]:
    return reader.records(
        f"""
        -- The latest ones, read backwards, and then turned round: pages show them in order.
        WITH latest AS (SELECT * FROM session_events WHERE {where} ORDER BY event_id DESC LIMIT 200)
        SELECT e."timestamp" AS at, e.event_type, e.message, e.attempt, a.session_id, a.session_url,
            CASE WHEN e.event_type = 'session_progress' THEN json_extract_string(e.details, '$.stage') END AS stage
        FROM latest e LEFT JOIN attempts a ON a.finding_key = e.finding_key AND a.attempt = e.attempt
        ORDER BY e.event_id DESC
        """,
        values,
    )[::-1]
