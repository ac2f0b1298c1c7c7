"""What can be wrong with a findings file as a whole; single bad rows are set aside instead."""

from remediation_assets.errors import RemediationError


class FindingsFileError(RemediationError):
    """A findings file that cannot be used; the text says why and what was expected."""


class FindingsFileChanged(RemediationError):
    """A findings file was written to while it was read; nothing of it was kept."""
