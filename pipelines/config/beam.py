"""Configuration of the Beam steps: Beam's options, and their effect on a step's files."""

from argparse import ArgumentParser
from collections.abc import Sequence

from pydantic import Field

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
        description="A folder that a step's pod and Beam's workers both see, on a volume of both "
        "or gs://. On Kubeflow a step's files lie in its own pod, so workers elsewhere need it.",
    )

    @property
    def options(self) -> tuple[str, ...]:
        """Options of every Beam step."""
        return self.args or IN_PROCESS


def workers_elsewhere(args: Sequence[str]) -> bool:
    """Checks whether Beam's options move a step's work out of its own process.

    Without a runner Beam runs locally; a LOOPBACK environment calls back into the process.
    """
    parser = ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--runner", default="DirectRunner")
    parser.add_argument("--environment_type", default="")
    known, _ = parser.parse_known_args(list(args))
    runner = known.runner.rpartition(".")[2]
    return runner not in _IN_PROCESS_RUNNERS and known.environment_type != "LOOPBACK"
