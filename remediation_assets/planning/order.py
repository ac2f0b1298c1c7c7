"""Which findings are planned first. Pure functions.

Everything that decides about the order of findings beyond their rank belongs here: `waves.py` cuts each band in the
order of ranks, one band after the other, and no wave has findings of two bands. Nobody leaves the plan.
"""

import json
from dataclasses import asdict, dataclass
from enum import IntEnum

from remediation_assets.models import FindingCategory, Severity


class Band(IntEnum):
    """A part of the plan with waves of its own; lower ones come first."""

    CHOSEN = 0
    OTHER = 1


@dataclass(frozen=True)
class Choice:
    """The findings that a person wants to be worked on first; an empty part chooses any."""

    services: tuple[str, ...] = ()
    categories: tuple[FindingCategory, ...] = ()
    severities: tuple[Severity, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is chosen; without a choice all findings are in one band."""
        return bool(self.services or self.categories or self.severities)

    @property
    def words(self) -> str:
        """Return the choice as people read it, such as `severity critical or high, service shop`."""
        parts = {"severity": self.severities, "category": self.categories, "service": self.services}
        return ", ".join(f"{name} {' or '.join(values)}" for name, values in parts.items() if values)

    def to_text(self) -> str | None:
        """Return the choice as JSON, which the ledger keeps; None if nothing is chosen."""
        return json.dumps(asdict(self)) if self else None

    @classmethod
    def from_text(cls, text: str | None) -> "Choice":
        """Return the choice that was kept as JSON."""
        kept = json.loads(text) if text else {}
        return cls(
            tuple(kept.get("services", ())),
            tuple(FindingCategory(category) for category in kept.get("categories", ())),
            tuple(Severity(severity) for severity in kept.get("severities", ())),
        )


NO_CHOICE = Choice()


@dataclass(frozen=True)
class Kind:
    """What the order of a finding depends on, beside its rank."""

    service_name: str
    category: FindingCategory
    severity: Severity


def band_of(kind: Kind, choice: Choice) -> Band:
    """Return the band of all findings of a kind."""
    is_chosen = (
        (not choice.services or kind.service_name in choice.services)
        and (not choice.categories or kind.category in choice.categories)
        and (not choice.severities or kind.severity in choice.severities)
    )
    return Band.CHOSEN if choice and is_chosen else Band.OTHER
