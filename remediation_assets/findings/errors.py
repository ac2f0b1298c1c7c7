"""What can be wrong with a findings file as a whole; single bad rows are rejected instead.

RemediationError
├── FindingsFileError      it cannot be used: correct it, or name another
└── FindingsFileChanged    it was written to while it was read: read it again
"""

from remediation_assets.errors import RemediationError


class FindingsFileError(RemediationError):
    """A findings file cannot be used; the message says why and what was expected."""


class FindingsFileChanged(RemediationError):
    """A findings file was written to while it was read; none of it was kept."""
