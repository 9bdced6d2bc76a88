"""Configuration of the Beam steps: Beam's options, and their effect on a step's files."""

from argparse import ArgumentParser
from collections.abc import Sequence

from pydantic import Field

from components.raster.errors import ConfigError
from components.raster.frozen import Frozen
from components.raster.location import Location

#: A local runner in Beam's package; Beam's default choice may download a program.
IN_PROCESS = (
    "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "--ingest_processes=0",
)
#: The nodes with Beam steps.
BEAM_NODES = ("Ingest", "Statistics", "Evaluation")
_IN_PROCESS_RUNNERS = {"BundleBasedDirectRunner", "DirectRunner", "FnApiRunner"}


class BeamConfig(Frozen):
    """Engine of the Beam steps (Ingest, Statistics, Evaluation)."""

    args: tuple[str, ...] = Field(
        default=(),
        description="Beam's own pipeline options, such as --runner=FlinkRunner; the default runs "
        "in this process.",
    )
    exchange: Location | None = Field(
        default=None,
        description="Folder that a step's pod and Beam's workers can both reach, on a shared "
        "volume or gs://. On Kubeflow a step's files are in its own pod, so workers"
        " elsewhere need this folder.",
    )

    @property
    def options(self) -> tuple[str, ...]:
        """Options of every Beam step, with a runner.

        >>> BeamConfig(args=("--ingest_processes=4",)).options[0] == IN_PROCESS[0]
        True
        """
        if not self.args:
            return IN_PROCESS
        return self.args if _value(self.args, "runner") else (IN_PROCESS[0], *self.args)


def unbounded_options(args: Sequence[str]) -> list[str]:
    """Returns the options that a pipeline with unbounded sources needs besides those given.

    Without checkpoints Flink ends its sources at once, and no message is ever answered.

    >>> unbounded_options(["--runner=FlinkRunner"])
    ['--streaming', '--checkpointing_interval=10000']
    >>> unbounded_options(["--runner=FlinkRunner", "--checkpointing_interval=2000"])
    ['--streaming']

    Raises:
        ConfigError: the runner does not read unbounded sources.
    """
    if _runner(args) == "FnApiRunner":
        raise ConfigError(
            "beam.args: Beam's default runner cannot read from a broker. Name another one in "
            "the configuration: for Kafka Flink or Dataflow, for Pub/Sub Dataflow or DirectRunner"
        )
    added = ["--streaming"]
    is_flink = _runner(args) in ("FlinkRunner", "PortableRunner")
    if is_flink and not any(it.startswith("--checkpointing_interval") for it in args):
        added.append("--checkpointing_interval=10000")
    return added


def workers_elsewhere(args: Sequence[str]) -> bool:
    """Checks whether Beam's options move a step's work out of its own process.

    Without a runner Beam runs locally; a LOOPBACK environment calls back into the process.
    """
    return (
        _runner(args) not in _IN_PROCESS_RUNNERS and _value(args, "environment_type") != "LOOPBACK"
    )


def _runner(args: Sequence[str]) -> str:
    """Returns the name of the runner's class."""
    return _value(args, "runner", "DirectRunner").rpartition(".")[2]


def _value(args: Sequence[str], name: str, default: str = "") -> str:
    """Returns the value of one of Beam's options, given as `--name=value` or `--name value`."""
    parser = ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument(f"--{name}", dest="value", default=default)
    value: str = parser.parse_known_args(list(args))[0].value
    return value
