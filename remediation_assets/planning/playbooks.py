"""The playbooks on disk: one file for each category of finding, and the version of its text.

The session engine uploads them to Devin.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from remediation_assets.errors import RemediationError
from remediation_assets.models import FindingCategory
from remediation_assets.settings import CHECKOUT

# Every category has one; a test fails if a new category has none.
PLAYBOOK_FILES: dict[FindingCategory, str] = {
    FindingCategory.DEPENDENCY_VULNERABILITY: "dependency_vulnerability.devin.md",
    FindingCategory.SQL_INJECTION: "sql_injection.devin.md",
    FindingCategory.HARDCODED_SECRET: "hardcoded_secrets.devin.md",
    FindingCategory.PII_LOGGING: "pii_logging.devin.md",
    FindingCategory.MISSING_ENCRYPTION: "missing_encryption.devin.md",
    FindingCategory.ACCESS_LOGGING: "access_logging.devin.md",
    FindingCategory.XSS: "xss.devin.md",
    FindingCategory.PATH_TRAVERSAL: "path_traversal.devin.md",
    FindingCategory.OTHER: "general.devin.md",
}


_SUFFIX = ".devin.md"


class PlaybookMissing(RemediationError):
    """A playbook file cannot be read; the message names it."""


@dataclass(frozen=True)
class PlaybookText:
    """A playbook as it is on disk; an edited text is another version."""

    name: str
    body: str

    @property
    def version(self) -> str:
        """Return the first twelve hex digits of the text's SHA-256."""
        return hashlib.sha256(self.body.encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """Return the title of this version at Devin."""
        # With the version in it, an edited playbook is uploaded beside the old one, which sessions may still use.
        return f"Remediation: {self.name} ({self.version})"


def playbook_names() -> dict[FindingCategory, str]:
    """Return the name of each category's playbook."""
    return {category: file_name.removesuffix(_SUFFIX) for category, file_name in PLAYBOOK_FILES.items()}


def playbook_folder() -> Path:
    """Return the folder of the playbooks."""
    return CHECKOUT / "playbooks"


def read_playbooks() -> dict[FindingCategory, PlaybookText]:
    """Read every category's playbook, or raise PlaybookMissing."""
    folder = playbook_folder()
    playbooks = {}
    for category, name in playbook_names().items():
        path = folder / f"{name}{_SUFFIX}"
        try:
            body = path.read_text(encoding="utf-8")
        except OSError as error:
            raise PlaybookMissing(f"playbook {path} cannot be read ({error.strerror}); restore it.") from None
        playbooks[category] = PlaybookText(name=name, body=body)
    return playbooks
