"""The first step of a run: resolves the external state that the nodes depend on.

    python -m pipelines.kubeflow.step.prepare --executor-input JSON [--mounted PATH]...
        [--pipeline prediction]

A fingerprint that was compiled in would be a cache hit forever. Therefore this step, which is never
cached, reads the state of the source and of the accepted schema, applies the run's parameters, and
passes every node that depends on them its execution property.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from components.ingest.fingerprint import same_data
from components.raster.errors import DataError, SkymillError, is_lasting
from components.raster.full_disk import full_disk_as_error
from components.raster.process_exit import exit_now
from pipelines.config.tree import PipelineConfig, parse_config
from pipelines.definition.extensions import require_extensions
from pipelines.definition.kinds import Kind, at_start, inputs_of
from pipelines.definition.resolve import RunInputs
from pipelines.kubeflow.contract.mounts import require_mounts
from pipelines.kubeflow.contract.parameters import with_parameters
from pipelines.kubeflow.contract.prepared import CONFIG, FAILURE, prepared
from pipelines.kubeflow.step.entrypoint import guarded, write_output


def prepare(
    config: PipelineConfig,
    values: Mapping[str, Any],
    mounted: Sequence[str] = (),
    kind: Kind = "training",
) -> dict[str, str]:
    """Computes the output parameters of this step.

    Args:
        config: the configuration that was compiled.
        values: the run's parameters by name.
        mounted: paths that every pod has without a volume.
        kind: which pipeline of the configuration.

    Raises:
        DataError: the source cannot be read, or its data are not those that the run is for.
        ConfigError: a parameter is invalid, or names a path that is not on a volume; or the image
            lacks a package of the user's.
    """
    changed = with_parameters(config, values, kind)
    require_mounts(changed, mounted, kind)
    require_extensions(changed)
    changed = at_start(changed, kind)
    inputs = inputs_of(changed, kind)
    wanted = values.get("data_fingerprint")
    if wanted and not same_data(wanted, inputs.fingerprint):
        raise DataError(
            f"{changed.ingest.source.uri} holds data with the fingerprint {inputs.fingerprint}, "
            f"and this run is for {wanted}: the data has changed since. Start another run"
        )
    return prepared_properties(changed, inputs, kind)


def prepared_properties(
    config: PipelineConfig, inputs: RunInputs, kind: Kind = "training"
) -> dict[str, str]:
    """Returns the properties of `PREPARED` as the pipeline's definition gives them to its nodes."""
    from tfx.utils import json_utils

    from pipelines.kubeflow.contract.nodes import cluster_nodes

    nodes = {node.id: node for node in cluster_nodes(config, inputs, kind)}
    found: dict[str, str] = {}
    for (node, name), key in prepared(config, kind).items():
        value = nodes[node].exec_properties[name]
        found[key] = value if isinstance(value, str) else json_utils.dumps(value)
    return found


def outcome(
    config: PipelineConfig,
    values: Mapping[str, Any],
    mounted: Sequence[str] = (),
    kind: Kind = "training",
) -> dict[str, str]:
    """Computes the output parameters as `prepare` does, with a lasting failure among them.

    The step then succeeds, and the next one, which has no retries, stops the run.
    """
    try:
        with full_disk_as_error():
            return {**prepare(config, values, mounted, kind), FAILURE: ""}
    except SkymillError as error:
        if not is_lasting(error):
            raise
        failure = f"{type(error).__name__}: {error}"
        print(failure, file=sys.stderr)
        return {**dict.fromkeys(prepared(config, kind).values(), ""), FAILURE: failure}


def _main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executor-input", required=True)
    parser.add_argument("--mounted", action="append", default=[])
    parser.add_argument("--pipeline", choices=get_args(Kind), default="training")
    args = parser.parse_args(argv)
    given = json.loads(args.executor_input)
    values = given["inputs"]["parameterValues"]
    config = parse_config(json.loads(values[CONFIG]), base_dir="/", source="the compiled config")
    write_output(given, {"parameterValues": outcome(config, values, args.mounted, args.pipeline)})


if __name__ == "__main__":
    exit_now(guarded(lambda: _main(sys.argv[1:])))
