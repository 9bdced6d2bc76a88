"""Where the Beam steps run: Beam's own options, and what they mean for a step's files."""

from argparse import ArgumentParser
from collections.abc import Sequence

from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.location import Location

#: Beam's own choice of a local runner may download a program; this one is in the package.
IN_PROCESS = (
    "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "--ingest_processes=0",
)
#: The nodes with Beam steps.
BEAM_NODES = ("Ingest", "Statistics", "Evaluation")
_IN_PROCESS_RUNNERS = {"BundleBasedDirectRunner", "DirectRunner", "FnApiRunner"}


class BeamConfig(Frozen):
    """Where the Beam steps (Ingest, Statistics, Evaluation) run."""

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
        """The options that every Beam step gets."""
        return self.args or IN_PROCESS


def workers_elsewhere(args: Sequence[str]) -> bool:
    """Whether Beam's options put a step's work outside of its own process.

    No runner at all is Beam's default, which is local; a LOOPBACK environment calls back.
    """
    parser = ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--runner", default="DirectRunner")
    parser.add_argument("--environment_type", default="")
    known, _ = parser.parse_known_args(list(args))
    runner = known.runner.rpartition(".")[2]
    return runner not in _IN_PROCESS_RUNNERS and known.environment_type != "LOOPBACK"
