"""What can go wrong with the ledger, split by what the caller can do.

LedgerError
├── LedgerBusy       another process holds the ledger; wait, or end that process
├── LedgerMismatch   the ledger belongs to another mode, origin or organisation; use another data directory
├── LedgerTooNew     a later version wrote the ledger; upgrade
├── LedgerUnusable   the folder or file cannot be read or written; the text says why
├── NothingPublished there are no results to read yet; run the pipeline
└── TransactionLost  the error of a statement was swallowed, so nothing of its transaction was written
"""

from remediation_assets.errors import RemediationError


class LedgerError(RemediationError):
    """Anything wrong with the ledger; the text is for the person who reads it."""


class LedgerBusy(LedgerError):
    """Another process holds the ledger for longer than the lock timeout."""


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
