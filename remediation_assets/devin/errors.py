"""What can go wrong between us and the Devin API, split by what the caller can do about it.

DevinError
├── AccountProblem          the account's, not the request's: hold, spend nothing, try later
│   ├── NotAuthorised       401, or a key that cannot be one
│   ├── Forbidden           403, or no organisation
│   ├── QuotaExhausted      402
│   └── RateLimited         429; `retry_after_seconds` where told
│       └── ConcurrencyCap  429 that speaks of concurrent sessions: end one first
├── RefusedRequest          400, 413, 422: the same request will be refused again
├── NotFound                404: gone, or (on creation) a wrong organisation
├── Unavailable             nothing was learned, or nothing was sent: ask again later
└── OutcomeUnknown          a POST that may have worked: look before sending it again
"""

import re

from remediation_assets.errors import RemediationError
from remediation_assets.escaping import plain

_SHOWN_CHARACTERS = 500
_KEY = re.compile(r"(cog|apk)_[A-Za-z0-9_-]+")


def presentable(words: str) -> str:
    """Make words of unknown origin fit for a message: one line, capped, without anything like a key."""
    return _KEY.sub(r"\1_[redacted]", " ".join(plain(words).split()))[:_SHOWN_CHARACTERS]


class DevinError(RemediationError):
    """Anything the client raises; `status` is None where no answer came, `words` is the API's text."""

    def __init__(self, method: str, path: str, status: int | None, words: str) -> None:
        """Say what was asked (method and path), the answer's status and the API's own words."""
        self.status = status
        self.words = presentable(words)
        answer = "no answer" if status is None else str(status)
        super().__init__(f"{method} {presentable(path)}: {answer}: {self.words or 'no further words'}")


class AccountProblem(DevinError):
    """The account cannot do this now, whatever the request says."""


class NotAuthorised(AccountProblem):
    """The key is missing, malformed, expired or revoked."""


class Forbidden(AccountProblem):
    """The key is good but may not do this."""


class QuotaExhausted(AccountProblem):
    """The account has no quota left, or its payment failed."""


class RateLimited(AccountProblem):
    """Too many requests; wait `retry_after_seconds` where the API told, else back off."""

    def __init__(
        self, method: str, path: str, status: int | None, words: str, retry_after_seconds: float | None = None
    ) -> None:
        """Add the wait that the answer asked for, if any."""
        super().__init__(method, path, status, words)
        self.retry_after_seconds = retry_after_seconds


class ConcurrencyCap(RateLimited):
    """The account has as many sessions as it may; one must end before another starts."""


class RefusedRequest(DevinError):
    """The request itself is wrong and will be refused again."""


class NotFound(DevinError):
    """What the request names does not exist, or not for this key."""


class Unavailable(DevinError):
    """The API could not be asked or gave no usable answer."""


class OutcomeUnknown(DevinError):
    """The request was perhaps carried out: its answer was lost or unusable."""
