"""The root of every error that a person can cause or mend.

Each package draws its own tree below it. The text is one or two sentences: what happened, where,
and what to do next; it is shown as it is, without a traceback.
"""


class RemediationError(Exception):
    """An error whose text is for the person who reads it."""
