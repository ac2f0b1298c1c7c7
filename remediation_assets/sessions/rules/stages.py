"""Which stages of a session are noted as it goes on. Pure functions.

A session reports its stage in its structured output. A stage is noted when a poll first sees it, once for each attempt
and forward only, because agents go back and forth in their notes. A stage that no poll has seen is not made up.
"""

from remediation_assets.planning.output_schema import STAGES_OF_WORK, stage_of

STAGE_WORDS = {
    "analyzing": "analyzing the finding",
    "fixing": "applying the fix",
    "testing": "running the tests",
    "creating_pr": "creating the pull request",
}
"""What a session does in each stage, for messages."""


def further_stage(known: str | None, output: object) -> str | None:
    """Return the stage that a structured output reports if it is further than the known one, else None."""
    stage = stage_of(output)
    if stage not in STAGES_OF_WORK:
        return None
    is_further = known not in STAGES_OF_WORK or STAGES_OF_WORK.index(stage) > STAGES_OF_WORK.index(known)
    return stage if is_further else None
