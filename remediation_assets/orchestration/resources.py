"""What the assets work with: settings, ledger and Devin client, opened when they are needed."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from remediation_assets.connect import connect, open_ledger
from remediation_assets.devin.client import DevinClient
from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.sessions.policy import Policy
from remediation_assets.settings import Settings, SettingsError, load_settings

from .run_liveness import alive

GIVE_UP_TAG = "remediation/give_up"
"""On runs that would fail again in the same way, with the reason."""


class Pipeline(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The pipeline's own door to its surroundings; everything it needs comes from the environment."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Pipeline"]:
        """Hold the sign of life of the run that uses this, if it is one."""
        run, instance = context.run, context.instance
        if run is None or instance is None:
            yield self
            return
        try:
            data_dir = load_settings().data_dir
        except SettingsError:
            yield self  # told by the first asset, with its sentence
            return
        with alive(instance, run.run_id, data_dir):
            yield self

    @property
    def settings(self) -> Settings:
        """Return the settings as they are now."""
        return load_settings()

    @property
    def ledger(self) -> Ledger:
        """Return the ledger that the settings name; nothing is opened yet."""
        return open_ledger(self.settings)

    @property
    def policy(self) -> Policy:
        """Return the settings that the engine goes by."""
        return Policy.of(self.settings)

    def devin(self) -> DevinClient:
        """Return a client of Devin, or of the simulator in mock mode; close it with `async with`."""
        return connect(self.settings)


@contextmanager
def told_to_people() -> Iterator[None]:
    """Turn an error that a person can mend into a Dagster failure that says just that."""
    try:
        yield
    except RemediationError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
