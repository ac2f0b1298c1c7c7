"""What can go wrong with the ledger, split by what the caller can do.

LedgerError
├── LedgerBusy       another process has it; wait, or end that process
├── LedgerMismatch   it belongs to another mode, origin or organisation; use another data directory
├── LedgerTooNew     it was written by a later version; upgrade
├── LedgerUnusable   the folder or file cannot be read or written; the text says why
├── NothingPublished there are no results to read yet; run the pipeline
└── TransactionLost  a statement failed inside and was swallowed, so nothing was written
"""

from remediation_assets.errors import RemediationError


class LedgerError(RemediationError):
    """Anything wrong with the ledger; the text is for the person who reads it."""


class LedgerBusy(LedgerError):
    """Another process has the ledger for longer than we wait."""


class LedgerMismatch(LedgerError):
    """The ledger belongs to another mode, API origin or organisation."""


class LedgerTooNew(LedgerError):
    """A later version of this software wrote the ledger."""


class LedgerUnusable(LedgerError):
    """The ledger's folder or file cannot be used."""


class NothingPublished(LedgerError):
    """There are no published results yet."""


class TransactionLost(LedgerError):
    """A statement failed, its error was swallowed, and the transaction was rolled back."""
