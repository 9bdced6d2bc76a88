"""Exchange of a step's artifacts through a folder that Beam's workers share.

The launcher puts a step's files into the step's own pod. Workers of Flink, Spark or Dataflow are
other pods or machines, so the step works in a shared folder and copies its files there and back.
"""

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pipelines.kubeflow.contract.uris import ArtifactPaths


@contextmanager
def exchanged(
    places: ArtifactPaths, inputs: Iterable[str], outputs: Iterable[str], folder: str
) -> Iterator[ArtifactPaths]:
    """Yields the places of a step in the shared folder, for its executor and its workers.

    Args:
        places: the launcher's places of the inputs and outputs.
        inputs, outputs: the URIs of each side.
        folder: the shared folder; the step uses a private subfolder, which is removed afterwards
            unless the process is killed.

    The outputs of a failed step are not copied back: the launcher uploads none of them.
    """
    from tfx.dsl.io import fileio
    from tfx.utils import io_utils

    private = os.path.join(folder, f"step-{uuid.uuid4().hex}")
    shared = ArtifactPaths({uri: f"{private}/{place}" for place, uri in enumerate(places.paths)})
    fileio.makedirs(private)
    try:
        for uri in inputs:
            if os.path.exists(places.paths[uri]):
                io_utils.copy_dir(places.paths[uri], shared.paths[uri])
        yield shared
        for uri in outputs:
            io_utils.copy_dir(shared.paths[uri], places.paths[uri])
    finally:
        fileio.rmtree(private)
