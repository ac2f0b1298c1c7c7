"""The root of every error that a person can cause or fix.

Each package derives its own errors from it. Their message is one or two sentences: what happened, where, and what to
do next. It is shown as it is, without a traceback.
"""


class RemediationError(Exception):
    """An error whose message is written for the person at the terminal or the page."""
