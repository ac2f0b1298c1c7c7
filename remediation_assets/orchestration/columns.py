"""What each column of the tables in the UI means: a sentence for each, with its unit.

Times are in UTC. Columns that hold JSON say so, because DuckDB stores them as text.
"""

from collections.abc import Mapping

DESCRIPTIONS: Mapping[str, str] = {
    # Findings, as their scanner reports them.
    "finding_key": "Identity of the finding: a hash of what makes two rows the same finding.",
    "finding_id": "Label of the finding in its scanner's export; not always unique.",
    "scanner": "Tool that reported the finding.",
    "category": "Kind of weakness; it decides which playbook the session gets.",
    "severity": "How severe the finding is: critical, high, medium or low.",
    "title": "The finding in one line.",
    "description": "The scanner's explanation of the finding.",
    "service_name": "Service that the code belongs to.",
    "repo_url": "Repository that the session works in.",
    "file_path": "File with the finding, relative to the root of the repository.",
    "line_number": "Line of the finding in its file, counted from 1; empty if the scanner names none.",
    "cwe_id": "Weakness in MITRE's list, such as CWE-89.",
    "dependency_name": "Package with the vulnerability; only for dependencies.",
    "current_version": "Version of the package that is in use.",
    "fixed_version": "First version of the package without the vulnerability.",
    "language": "Programming language of the file.",
    "rule_id": "The scanner's rule that found it.",
    "fingerprint": "The scanner's own identity of the finding, which stays when its line moves.",
    "scan_id": "Number of the scan that the row was read by.",
    "row_number": "Number of the row in the scanned file, counted from 1.",
    "priority_score": "Points for severity, category and service; the higher, the earlier it is worked on.",
    "priority_rank": "Place of the finding by its score; 1 comes first.",
    # Waves and the plan of each.
    "wave": "Name of the wave, which is its partition.",
    "wave_number": "Number of the wave, counted from 1.",
    "plan_number": "Number of the planning that last changed the wave.",
    "planned_at": "When planning last changed the wave.",
    "frozen_at": "When the wave was started; from then on planning leaves it as it is.",
    "chosen": "Whether the wave has only findings that a person chose to come first.",
    "position": "Place of the finding in its wave, counted from 1.",
    "playbook": "Playbook of the session: the instructions for findings of this category.",
    "playbook_version": "Hash of the playbook's text.",
    "prompt": "Text that the session starts with: the finding, between delimiters, and its playbook.",
    # Attempts and their sessions.
    "attempt": "Number of the try at this finding, counted from 1 over all rounds.",
    "round": "Number of the round of its wave, counted from 1; running a wave again opens another one.",
    "is_retry": "Whether the attempt repeats one that failed in the same round.",
    "status": "State of the attempt: pending, dispatched, working, blocked, success, failed or timeout.",
    "outcome": "How the attempt ended: success, failed, timeout, refused, cancelled or vanished; empty until then.",
    "created_at": "When the attempt was planned.",
    "claimed_at": "When a process committed to creating the session, before it sent the request.",
    "claimed_by": "Host and process that claimed the attempt.",
    "request": "Request that creates the session, as JSON.",
    "request_hash": "Hash of the request that creates the session.",
    "unknown_since": "Since when it is unknown whether the request created a session.",
    "lookups_not_found": "How many lists of Devin's sessions have been searched for this one without finding it.",
    "session_id": "The session's id at Devin.",
    "session_url": "The session's page at Devin; in mock mode nothing is there.",
    "dispatched_at": "When the session was created.",
    "watched_from": "When the session was created on the clock of timeouts, in seconds of successful polling.",
    "api_status": "Status of the session in Devin's own word, at the last poll.",
    "api_detail": "Devin's addition to the status, at the last poll.",
    "stage": "Furthest stage of its work that the session has reported.",
    "blocked_since": "Since when the session waits for an answer.",
    "missing_since": "Since when Devin no longer lists the session.",
    "suspended_at": "When Devin suspended the session.",
    "resume_wanted_at": "Since when the suspended session is to be resumed.",
    "resume_sent_at": "When the session was last asked to go on.",
    "pr_url": "Pull request of the session; empty if it opened none.",
    "acus_consumed": "Cost of the session so far, in agent compute units (ACU); empty if the API does not report it.",
    "observed_at": "When the session was last seen to have changed.",
    "observed_hash": "Hash of what Devin showed last; an equal answer is not stored again.",
    "error_message": "Why the attempt did not succeed.",
    "completed_at": "When the attempt got its outcome.",
    "cancel_wanted_at": "When a person asked to cancel the attempt.",
    "terminate_wanted_at": "Since when the session is to be terminated.",
    "terminate_error": "Why the session could not be terminated at the last try.",
    "terminated_at": "When the session was terminated by us.",
    # Results of a wave.
    "pull_requests": "All pull requests of the session with their states, as a JSON list.",
    "structured_output": "The session's report on its work, as JSON.",
    "output_valid": "Whether the report has the form that was asked for.",
    "minutes": "Minutes from the creation of the session to the outcome of the attempt.",
    "review": "What a person decided about the pull request: approved, rejected or reopened; empty without a review.",
    "reviewer": "Who reviewed the pull request.",
    "is_fixed": "Whether it counts as a success: ended in success, and no person rejected or reopened it.",
    "is_failed": "Whether it counts as a failure; neither this nor fixed if it was cancelled or the session vanished.",
}
"""By the name of the column, for every table that says nothing else of it."""

OF_TABLE: Mapping[str, Mapping[str, str]] = {
    "normalized_findings": {"position": "Order in which findings of equal score are worked on: that of their rows."},
    "prioritized_findings": {"position": "Order of the finding's row in the scans; it decides between equal scores."},
    "session_results": {"attempt": "Number of the last try at this finding in the wave; 0 if there was none."},
    "files": {
        "source": "File that was read.",
        "format": "Format that the file was recognised as.",
        "rows_in": "Number of rows in the file.",
        "accepted": "Number of rows that can be used.",
        "set_aside": "Number of rows that cannot be used, each with its reason in rejected_findings.",
        "new": "Number of findings that were not reported before.",
        "unchanged": "Number of findings that were reported before.",
        "gone": "Number of findings that are no longer reported.",
    },
    "rejected_findings": {
        "line_number": "Line of the scanned file on which the rejected row begins, counted from 1.",
        "reason": "Why the row cannot be used.",
    },
    "waves at a glance": {
        "findings": "Number of findings in the wave.",
        "best_score": "Highest priority score in the wave, in points.",
        "worst_score": "Lowest priority score in the wave, in points.",
        "started": "Whether the wave was started; planning no longer changes it then.",
    },
    "attempts": {"acus": "Agent compute units (ACU) that the session has cost so far."},
    "gate_results": {
        "decided_at": "When the round had settled and was judged.",
        "verdict": "What the gate said of the round: passed, failed, or not_judged if no outcome counts.",
        "opens": "Whether the next wave may start by this verdict.",
        "succeeded": "Number of findings that had succeeded by the end of the round.",
        "counted": "Number of findings that the agent answers for; the rate is over these.",
        "rate": "Share of the counted findings that succeeded, from 0 to 1; empty if none counts.",
        "threshold": "Share that was needed to pass, from 0 to 1 (MIN_SUCCESS_RATE).",
        "ignored_gate": "Whether a person started the round although the wave before had not passed.",
    },
}
"""What a column means in one table only, or differently there; by the table, and for figures by their preview."""


def describe(column: str, table: str) -> str | None:
    """Return what a column of a table means, None if nothing is written about it."""
    return OF_TABLE.get(table, {}).get(column) or DESCRIPTIONS.get(column)
