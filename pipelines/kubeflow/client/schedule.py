"""When a package runs, and a recurring run as a server has it: plain values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from components.raster.errors import ConfigError
from pipelines.kubeflow.client.cron import checked_cron
from pipelines.kubeflow.client.submission import SERVICE_ACCOUNT, Value

#: What says which data a run reads.
_DATA = ("data_fingerprint", "span")
_LEAST_INTERVAL_S = 60


@dataclass(frozen=True)
class Schedule:
    """When a package runs.

    A run that has not ended when the next is due delays it, and of several that were missed
    only the last is made up for: those two are not for choice.

    Attributes:
        name: of the recurring run; a server has one of a name.
        cron: six fields, seconds first, in the time zone of the cluster's controller (UTC, unless
            it was set otherwise).
        interval_s: instead of `cron`, the seconds from one run to the next.
        parameters: those that differ from the package's defaults.
        service_account: of the steps' pods; empty leaves it to the cluster.

    Raises:
        ConfigError: there is no time or more than one, or the data are those of one day.
    """

    name: str
    cron: str | None = None
    interval_s: int | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    service_account: str = SERVICE_ACCOUNT

    def __post_init__(self) -> None:
        if (self.cron is None) == (self.interval_s is None):
            raise ConfigError("a schedule has a cron expression or an interval: give one of them")
        if self.cron is not None:
            object.__setattr__(self, "cron", checked_cron(self.cron))
        elif (self.interval_s or 0) < _LEAST_INTERVAL_S:
            raise ConfigError(
                f"an interval of {self.interval_s} s: {_LEAST_INTERVAL_S} s are the least"
            )
        refuse_frozen(self.parameters, "--set")

    def trigger(self) -> dict[str, Any]:
        """The trigger as the API takes it."""
        if self.cron is not None:
            return {"cron_schedule": {"cron": self.cron}}
        return {"periodic_schedule": {"interval_second": str(self.interval_s)}}


@dataclass(frozen=True)
class Scheduled:
    """A recurring run that a server has.

    Attributes:
        when: its cron expression, or `every N s`.
        version_id: the pipeline's version that runs.
        change: what a call has done: created, replaced, enabled, disabled, deleted or unchanged.
        note: what somebody should know of it all the same.
    """

    recurring_run_id: str
    name: str
    when: str
    enabled: bool
    version_id: str
    parameters: dict[str, Any]
    service_account: str
    max_concurrency: int
    no_catchup: bool
    change: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def refuse_frozen(values: Mapping[str, Any], where: str) -> None:
    """Refuses parameters that would hold every run of a schedule to the data of one day.

    Raises:
        ConfigError: names the parameter and where it was given.
    """
    for name in _DATA:
        if value := values.get(name):
            raise ConfigError(
                f"{where}: {name} is {value!r}. In a schedule it would hold every run to the data "
                "of one day. Leave it empty; the data are looked at when a run starts"
            )
