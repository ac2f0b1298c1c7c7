"""The resource that assets and sensors share, and the conversion of our errors to failures of a run."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import PrivateAttr

from remediation_assets.connect import connect, open_ledger
from remediation_assets.devin.client import DevinClient
from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.sessions.policy import Policy
from remediation_assets.settings import Settings, SettingsError, load_settings

from .last_line import print_last
from .run_liveness import alive

ERROR_KIND = "error"
"""Key of the metadata of a failure that names the class of our error."""

GIVE_UP_TAG = "remediation/give_up"
"""Tag of runs that would fail again in the same way; its value is the reason."""


class Pipeline(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings, ledger and Devin client of the pipeline, all created from environment variables."""

    _settings: Settings | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Pipeline"]:
        """Read the settings; if a run uses the resource, and not a sensor, hold the run's lock."""
        run, instance = context.run, context.instance
        try:
            # Once for the whole run or tick: with a `.env` that is edited in between, the ledger would be of one mode
            # and the client of another.
            self._settings = load_settings()
        except SettingsError:
            yield self  # the first asset loads the settings too, and fails with the message
            return
        try:
            if run is None or instance is None:
                yield self
                return
            with alive(instance, run.run_id, self._settings.data_dir):
                yield self
        finally:
            self._settings = None

    @property
    def settings(self) -> Settings:
        """Return the settings as they were when the run or tick began; outside of both, as they are now."""
        return self._settings or load_settings()

    @property
    def ledger(self) -> Ledger:
        """Return the ledger that the settings name; nothing is opened yet."""
        return open_ledger(self.settings)

    @property
    def policy(self) -> Policy:
        """Return the part of the settings that the session engine uses."""
        return Policy.of(self.settings)

    def devin(self) -> DevinClient:
        """Return a client of Devin, or of the simulator in mock mode; close it with `async with`."""
        return connect(self.settings)


@contextmanager
def as_dagster_failure() -> Iterator[None]:
    """Turn an expected error into a Dagster failure that shows its message; print the message last in a shell."""
    try:
        yield
    except RemediationError as error:
        print_last(str(error))
        # No retry by Dagster: the message says what somebody has to do first.
        # The kind of the error is kept for the command line, whose exit code depends on it.
        raise dg.Failure(
            description=str(error), metadata={ERROR_KIND: type(error).__name__}, allow_retries=False
        ) from None
