"""Translate every scanner's scale of severity into ours.

| ours     | CVSS score | words                                                                     |
|----------|------------|---------------------------------------------------------------------------|
| critical | 9.0 - 10   | critical, very high, blocker                                              |
| high     | 7.0 - 8.9  | high, error, important, severe, major                                     |
| medium   | 4.0 - 6.9  | medium, moderate, warning, unknown, and no word at all                    |
| low      | up to 3.9  | low, very low, minor, note, info, informational, negligible, none, trivial |

A score takes precedence over a word. The ranges of scores are the qualitative scale of CVSS 3.1, section 5; SARIF's
levels are error, warning, note and none (SARIF 2.1.0, 3.27.10).
"""

import math

from cvss import CVSS2, CVSS3, CVSS4, CVSSError

from remediation_assets.models import Severity

_WORDS = {
    Severity.CRITICAL: "critical, very high, blocker",
    Severity.HIGH: "high, error, important, severe, major",
    Severity.MEDIUM: "medium, moderate, warning, warn, unknown, undefined, not available",
    Severity.LOW: "low, very low, minor, note, notice, info, information, informational, negligible, none, trivial",
}
_BY_WORD = {word: severity for severity, words in _WORDS.items() for word in words.split(", ")}

DEFAULT_SEVERITY = Severity.MEDIUM
"""The severity of a finding without one, so that it is neither the first to be fixed nor the last."""


def severity_of(word: object, score: float | None = None) -> str:
    """Return our severity for a CVSS score, or else for a word; a word that is on no scale is returned as it is.

    Validation then rejects the row and shows the word.
    """
    if score is not None:
        return severity_of_score(score)
    text = word.strip().lower().replace("_", " ").replace("-", " ") if isinstance(word, str) else ""
    return str(_BY_WORD.get(text, word if text else DEFAULT_SEVERITY))


def severity_of_score(score: float) -> Severity:
    """Return our severity for a CVSS base score from 0 to 10."""
    if score >= 9:
        return Severity.CRITICAL
    if score >= 7:
        return Severity.HIGH
    return Severity.MEDIUM if score >= 4 else Severity.LOW


def score_of(value: object) -> float | None:
    """Return the score of a number or of a CVSS vector of version 2, 3 or 4; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        score = float(value)
    except (ValueError, OverflowError):
        return _score_of_vector(str(value).strip())
    # Scanners write 0 for what was never scored.
    return score if math.isfinite(score) and 0 < score <= 10 else None


def _score_of_vector(vector: str) -> float | None:
    kinds = {"CVSS:4.0/": CVSS4, "CVSS:3": CVSS3, "AV:": CVSS2}
    kind = next((kind for prefix, kind in kinds.items() if vector.startswith(prefix)), None)
    if kind is None:
        return None
    try:
        return score_of(float(kind(vector).base_score))
    except (CVSSError, ArithmeticError, LookupError, ValueError):
        return None
