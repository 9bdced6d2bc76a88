"""A step's artifacts in a folder that Beam's workers see too.

The launcher puts a step's files into the step's own pod. Workers of Flink, Spark or Dataflow are
other pods or machines, so the step works in a folder that both have, and moves its files between.
"""

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pipelines.kubeflow.contract.uris import Places


@contextmanager
def exchanged(
    places: Places, inputs: Iterable[str], outputs: Iterable[str], folder: str
) -> Iterator[Places]:
    """The places of a step as its executor and its workers see them.

    Args:
        places: where the launcher has put the inputs and looks for the outputs.
        inputs, outputs: the URIs of each side.
        folder: what both see; this step gets a folder of its own in it, gone afterwards
            unless the process is killed.

    What a step that fails has written is not brought back: the launcher uploads nothing of it.
    """
    from tfx.dsl.io import fileio
    from tfx.utils import io_utils

    room = os.path.join(folder, f"step-{uuid.uuid4().hex}")
    shared = Places({uri: f"{room}/{place}" for place, uri in enumerate(places.paths)})
    fileio.makedirs(room)
    try:
        for uri in inputs:
            if os.path.exists(places.paths[uri]):
                io_utils.copy_dir(places.paths[uri], shared.paths[uri])
        yield shared
        for uri in outputs:
            io_utils.copy_dir(shared.paths[uri], places.paths[uri])
    finally:
        fileio.rmtree(room)
