"""What can go wrong between us and the Devin API, split by what the caller can do about it.

DevinError
├── AccountProblem          the account cannot, whatever the request: hold, spend nothing, try later
│   ├── NotAuthorised       401, or a key that cannot be one
│   ├── Forbidden           403, or no organisation
│   ├── QuotaExhausted      402
│   └── RateLimited         429; `retry_after_seconds` if the API names a wait
│       └── ConcurrencyCap  429 that speaks of concurrent sessions: end one of them first
├── RefusedRequest          400, 413, 422: the same request will be refused again
├── NotFound                404: does not exist, or (when creating) a wrong organisation
├── Unavailable             nothing was learned, or nothing was sent: try again later
└── OutcomeUnknown          a POST that may have worked: look before sending it again
"""

import re

from remediation_assets.errors import RemediationError
from remediation_assets.escape import plain

_SHOWN_CHARACTERS = 500
# The form of keys of v3 and v1; an answer may echo a key that is not ours.
_KEY = re.compile(r"(cog|apk)_[A-Za-z0-9_-]+")


def presentable(text: str) -> str:
    """Return untrusted text in a form that is safe in a message: one line, capped, without anything like a key."""
    return _KEY.sub(r"\1_[redacted]", " ".join(plain(text).split()))[:_SHOWN_CHARACTERS]


class DevinError(RemediationError):
    """Anything the client raises; `status` is None if no answer came, `detail` is the API's text or ours."""

    def __init__(self, method: str, path: str, status: int | None, detail: str) -> None:
        """Describe a failed request by its method and path, the answer's status and the reason."""
        self.status = status
        self.detail = presentable(detail)
        answer = "no answer" if status is None else str(status)
        super().__init__(f"{method} {presentable(path)}: {answer}: {self.detail or 'no explanation'}")


class AccountProblem(DevinError):
    """The account cannot do this now, whatever the request says."""


class NotAuthorised(AccountProblem):
    """The key is missing, malformed, expired or revoked."""


class Forbidden(AccountProblem):
    """The key is good but may not do this."""


class QuotaExhausted(AccountProblem):
    """The account has no quota left, or its payment failed."""


class RateLimited(AccountProblem):
    """Too many requests; wait `retry_after_seconds` if the API names a wait, else back off."""

    def __init__(
        self, method: str, path: str, status: int | None, detail: str, retry_after_seconds: float | None = None
    ) -> None:
        """Add the wait that the answer asks for, if any."""
        super().__init__(method, path, status, detail)
        self.retry_after_seconds = retry_after_seconds


class ConcurrencyCap(RateLimited):
    """The account has as many sessions as it may have; one must end before another starts."""


class RefusedRequest(DevinError):
    """The request itself is wrong and will be refused again."""


class NotFound(DevinError):
    """What the request names does not exist, or not for this key."""


class Unavailable(DevinError):
    """The API could not be reached, or gave no usable answer."""


class OutcomeUnknown(DevinError):
    """The request may have been carried out: its answer was lost or cannot be used."""
