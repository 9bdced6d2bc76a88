"""Executors of a package: command, arguments and resources of each container."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.raster.errors import ConfigError
from pipelines.definition.kinds import Kind
from pipelines.kubeflow.contract.signature import ARGUMENT, NodeSignature

_ENTRY_POINT = ("python", "-m", "pipelines.kubeflow.step.entrypoint")
_PREPARE = ("python", "-m", "pipelines.kubeflow.step.prepare")
_STOP = ("python", "-m", "pipelines.kubeflow.step.stop")
_EXECUTOR_CLASS = "--executor_class_path"
#: TFX's own flags, each with a value; the arguments after them belong to Beam.
_TFX_FLAGS = (
    _EXECUTOR_CLASS,
    "--json_serialized_invocation_args",
    "--json_serialized_inputs_spec_args",
)
#: Limit for all arguments of a container together; Linux accepts 128 KiB for one, and the launcher
#: puts the executor input into another.
_MOST_ARGUMENT_BYTES = 64 << 10


@dataclass(frozen=True)
class StepFolders:
    """Folders on volumes that a step works in, None without.

    Attributes:
        exchange: where Beam's workers see the files of the step.
        failures: where the step leaves a marker of a failure that its retries would repeat.
    """

    exchange: str | None = None
    failures: str | None = None


def executor_class(args: Sequence[str]) -> str:
    """Returns the executor's dotted path in the arguments that TFX wrote."""
    return args[list(args).index(_EXECUTOR_CLASS) + 1]


def beam_args(args: Sequence[str]) -> list[str]:
    """Returns Beam's options in the arguments that TFX wrote."""
    rest, waiting = [], iter(args)
    for arg in waiting:
        if arg in _TFX_FLAGS:
            next(waiting)
        else:
            rest.append(arg)
    return rest


def node_container(
    signature: NodeSignature, tfx_args: Sequence[str], node: str, folders: StepFolders
) -> dict[str, Any]:
    """Returns the command and arguments of a node, with Beam's options after `--`.

    There is no `lifecycle`, since the backend runs none.

    Raises:
        ConfigError: they are too long for a process's arguments.
    """
    text = signature.to_json()
    options = beam_args(tfx_args)
    args = [ARGUMENT, text, "--executor-input", "{{$}}"]
    args += ["--failures", folders.failures] if folders.failures else []
    args += ["--exchange", folders.exchange] if folders.exchange else []
    args += ["--", *options] if options else []
    if sum(len(arg.encode()) for arg in args) > _MOST_ARGUMENT_BYTES:
        raise ConfigError(f"{node}: the arguments of its container are too long")
    return {"command": list(_ENTRY_POINT), "args": args}


def prepare_container(mounted: Sequence[str], kind: Kind) -> dict[str, Any]:
    """Returns the command and arguments of Prepare.

    Args:
        mounted: paths that every pod has.
        kind: which pipeline of the configuration.
    """
    args = ["--executor-input", "{{$}}"]
    args += ["--pipeline", kind] if kind != "training" else []
    args += [word for path in mounted for word in ("--mounted", path)]
    return {"command": list(_PREPARE), "args": args}


def stop_container() -> dict[str, Any]:
    """Returns the command and arguments of the step that stops on Prepare's failure."""
    return {"command": list(_STOP), "args": ["--executor-input", "{{$}}"]}
