"""Entry point of every step's container: runs a TFX executor under Kubeflow's launcher.

    python -m pipelines.kubeflow.step.entrypoint --signature JSON --executor-input JSON
        [--failures FOLDER] [--exchange FOLDER] [-- BEAM...]

The launcher downloads the inputs to its mounts and uploads the outputs from there; `NodeSignature`
and `artifacts` do the rest.
"""

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any, NoReturn

from components.raster.errors import SkymillError
from components.raster.full_disk import full_disk_as_error
from components.raster.masking import masked
from components.raster.process_exit import EXIT_STOPPED, exit_now
from components.raster.tensorflow_import import import_tensorflow
from components.raster.unscanned import unscanned_imports
from pipelines.definition.temporary import own_temporary_folder
from pipelines.kubeflow.contract.signature import ARGUMENT, RUN_ID, NodeSignature
from pipelines.kubeflow.contract.uris import ArtifactPaths, local_path
from pipelines.kubeflow.step.failure_marker import (
    FailureMarker,
    is_first_attempt,
    marked_failures,
)

#: Folder of the mounts, for machines where the root folder is not writable.
MOUNT_ROOT_VARIABLE = "SKYMILL_MOUNT_ROOT"

Tree = Mapping[str, Any]


@own_temporary_folder()
def run_step(
    signature: NodeSignature,
    given: Tree,
    beam_args: Sequence[str],
    mount_root: str = "/",
    exchange: str | None = None,
) -> dict[str, Any]:
    """Runs one executor and returns the executor output (protojson) for the launcher.

    Args:
        signature: the node's types.
        given: the executor input, as the launcher substitutes it for `{{$}}`.
        beam_args: Beam's pipeline options.
        mount_root: the folder that holds `minio/`, `s3/` and `gcs/`.
        exchange: a folder shared with Beam's workers, which holds a Beam step's files meanwhile.
    """
    from pipelines.kubeflow.step.artifacts import publish_artifact
    from pipelines.kubeflow.step.native import make_view

    inputs, outputs = _singles(given, "inputs"), _singles(given, "outputs")
    places = ArtifactPaths.of(
        [one["uri"] for one in [*inputs.values(), *outputs.values()]], mount_root
    )
    values = given.get("inputs", {}).get("parameterValues", {})
    with unscanned_imports():
        import_tensorflow()
        executor = _executor(signature.executor, beam_args, str(values.get(RUN_ID, "")))
    with _executor_paths(executor, places, signature, inputs, outputs, exchange) as paths:
        input_dict = _inputs(signature, inputs, paths)
        output_dict = _outputs(signature, outputs, paths)
        executor.Do(input_dict, output_dict, execution_properties(signature, values))

    published = {
        name: publish_artifact(artifact, outputs[name].get("name", ""), paths)
        for name, [artifact] in output_dict.items()
    }
    for view in signature.views:
        uri = outputs[view.name]["uri"]
        source = places.to_path(outputs[view.source]["uri"])
        metadata = make_view(view, source, local_path(uri, mount_root))
        published[view.name] = {**_named(outputs[view.name]), "uri": uri, "metadata": metadata}
    return {"artifacts": {name: {"artifacts": [one]} for name, one in published.items()}}


def execution_properties(signature: NodeSignature, values: Tree) -> dict[str, Any]:
    """Returns the node's execution properties, without nulls, whole doubles as integers."""
    return {
        name: int(values[name]) if kind == "NUMBER_INTEGER" else values[name]
        for name, kind in signature.parameters.items()
        if values.get(name) is not None
    }


def write_output(given: Tree, output: Tree) -> None:
    """Writes the executor output to the launcher's output file.

    Kubeflow names a local file; Vertex AI may name one in its bucket, which is mounted.
    """
    path = local_path(given["outputs"]["outputFile"])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(output, file, allow_nan=False)


def guarded(step: Any) -> int:
    """Runs a step's main function; shows an error that a user can act on without a traceback."""
    try:
        with full_disk_as_error():
            step()
    except SkymillError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except BaseException as error:
        if isinstance(error, SystemExit) and error.code == EXIT_STOPPED:
            print("The step was stopped (SIGTERM).", file=sys.stderr)
            return EXIT_STOPPED
        print(masked(traceback.format_exc()), file=sys.stderr)
        return 1
    return 0


def clean_up_on_sigterm() -> None:
    """Makes the first SIGTERM a `SystemExit`, so that `finally` runs before the process ends.

    Later ones are ignored, as they would interrupt the cleanup; SIGKILL bounds its time.
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(EXIT_STOPPED)

    signal.signal(signal.SIGTERM, stop)


def _singles(given: Tree, side: str) -> dict[str, Tree]:
    """Returns the artifact of each input or output; each of our channels holds exactly one."""
    lists = given.get(side, {}).get("artifacts", {})
    return {name: found["artifacts"][0] for name, found in lists.items() if found.get("artifacts")}


def _executor_paths(
    executor: Any,
    places: ArtifactPaths,
    signature: NodeSignature,
    inputs: Mapping[str, Tree],
    outputs: Mapping[str, Tree],
    exchange: str | None,
) -> AbstractContextManager[ArtifactPaths]:
    """Returns the places as the executor sees them; they differ only for a Beam step."""
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

    from pipelines.kubeflow.step.exchange import exchanged

    if exchange is None or not isinstance(executor, BaseBeamExecutor):
        return nullcontext(places)
    read = [one["uri"] for name, one in inputs.items() if name in signature.inputs]
    written = [outputs[name]["uri"] for name in signature.outputs]
    return exchanged(places, read, written, exchange)


def _inputs(
    signature: NodeSignature, given: Mapping[str, Tree], places: ArtifactPaths
) -> dict[str, Any]:
    from tfx.dsl.io import fileio

    from components.gate.artifact import STORE_URI
    from pipelines.kubeflow.step.artifacts import restore_artifact

    found: dict[str, Any] = {}
    for name, kind in signature.inputs.items():
        if name not in given:
            if kind.optional:
                continue
            raise SkymillError(f"the launcher passed no input {name}")
        path = places.to_path(given[name]["uri"])
        if not fileio.exists(path):
            if kind.optional:
                continue
            fileio.makedirs(path)  # a store holds only files: it was an empty folder
        artifact = restore_artifact(given[name], kind.type, places)
        artifact.set_string_custom_property(STORE_URI, given[name]["uri"])
        found[name] = [artifact]
    return found


def _outputs(
    signature: NodeSignature, given: Mapping[str, Tree], places: ArtifactPaths
) -> dict[str, Any]:
    from tfx.dsl.io import fileio

    from pipelines.kubeflow.step.artifacts import restore_artifact

    made: dict[str, Any] = {}
    for name, type_path in signature.outputs.items():
        made[name] = [restore_artifact(given[name], type_path, places)]
        fileio.makedirs(made[name][0].uri)
    return made


def _executor(path: str, beam_args: Sequence[str], run_id: str) -> Any:
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.utils import import_utils

    executor = import_utils.import_class_by_path(path)
    where = {"tmp_dir": tempfile.mkdtemp(prefix="step-"), "unique_id": "1"}
    where["pipeline_run_id"] = run_id
    if issubclass(executor, BaseBeamExecutor):
        return executor(executor.Context(beam_pipeline_args=list(beam_args), **where))
    return executor(executor.Context(extra_flags=list(beam_args), **where))


def _named(given: Tree) -> dict[str, Any]:
    return {"name": given["name"]} if given.get("name") else {}


def _main(argv: Sequence[str], mount_root: str) -> None:
    split = list(argv).index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(ARGUMENT, required=True)
    parser.add_argument("--executor-input", required=True)
    parser.add_argument("--exchange")
    parser.add_argument("--failures")
    args = parser.parse_args(argv[:split])
    logging.basicConfig(level=logging.INFO)
    clean_up_on_sigterm()
    given = json.loads(args.executor_input)
    signature = NodeSignature.from_json(args.signature)
    places = [one["uri"] for one in _singles(given, "outputs").values()]
    marker = FailureMarker.of(places, args.failures)
    with marked_failures(marker, is_first_attempt(os.environ)):
        output = run_step(signature, given, argv[split + 1 :], mount_root, args.exchange)
    write_output(given, output)


if __name__ == "__main__":
    exit_now(guarded(lambda: _main(sys.argv[1:], os.environ.get(MOUNT_ROOT_VARIABLE, "/"))))
