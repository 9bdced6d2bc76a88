"""Schedules, and recurring runs of a server, as plain values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from components.raster.errors import ConfigError
from pipelines.kubeflow.client.cron import checked_cron
from pipelines.kubeflow.client.submission import SERVICE_ACCOUNT, Value

#: Parameters that select the data of a run.
_DATA = ("data_fingerprint", "span")
_LEAST_INTERVAL_S = 60


@dataclass(frozen=True)
class Schedule:
    """Start times of a package's runs.

    A run that has not ended delays the next one, and only the last of several missed runs is caught
    up; neither can be changed.

    Attributes:
        name: name of the recurring run, unique on a server.
        cron: six fields, seconds first, in the time zone of the cluster's controller (UTC by
            default).
        interval_s: seconds from one run to the next, instead of `cron`.
        parameters: those that differ from the package's defaults.
        service_account: account of the steps' pods; empty leaves it to the cluster.

    Raises:
        ConfigError: not exactly one of `cron` and `interval_s` is given, or the data are frozen.
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
                f"an interval of {self.interval_s} s: the minimum is {_LEAST_INTERVAL_S} s"
            )
        refuse_frozen(self.parameters, "--set")

    def trigger(self) -> dict[str, Any]:
        """Returns the trigger in the API's format."""
        if self.cron is not None:
            return {"cron_schedule": {"cron": self.cron}}
        return {"periodic_schedule": {"interval_second": str(self.interval_s)}}


@dataclass(frozen=True)
class Scheduled:
    """A recurring run on a server.

    Attributes:
        when: its cron expression, or `every N s`.
        version_id: the pipeline's version that runs.
        change: a call's effect: created, replaced, enabled, disabled, deleted or unchanged.
        note: a further remark for the user.
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
        """Returns plain values for JSON."""
        return asdict(self)


def refuse_frozen(values: Mapping[str, Any], where: str) -> None:
    """Refuses parameters that would bind every run of a schedule to the data of one day.

    Raises:
        ConfigError: names the parameter and the place that sets it.
    """
    for name in _DATA:
        if value := values.get(name):
            raise ConfigError(
                f"{where}: {name} is {value!r}. In a schedule it would bind every run to the data "
                "of one day. Leave it empty: each run takes the data that are there when it starts"
            )
