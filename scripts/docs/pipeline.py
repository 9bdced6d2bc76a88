"""The picture of the pipeline, drawn from its definition: docs/pipeline.svg.

Each box is a node, a stop node in another colour; arrows lead to the nodes that wait for it.

    python -m scripts.docs.pipeline docs/pipeline.svg
"""

import sys
from pathlib import Path

from components.gate.component import Stop, StopOnRejects
from pipelines.config.tree import parse_config
from pipelines.definition.resolve import RunInputs
from pipelines.definition.training import create_pipeline
from scripts.docs.layered import PictureStyle, draw

#: The nodes of each stage; a new node of the pipeline is added here.
STAGES = {
    "data": (
        "Ingest",
        "StopOnRejects",
        "Statistics",
        "Schema",
        "ExampleValidator",
        "Baseline",
        "DataCheck",
        "StopOnAnomalies",
    ),
    "model": ("Trainer", "Evaluation", "StopOnMetrics", "InfraCheck", "StopOnAnswers", "RunPage"),
    "release": ("Push",),
}
_CONFIG = {
    "name": "picture",
    "ingest": {"source": {"kind": "folders", "uri": "images"}},
    "push": {"model_dir": "models"},
}


def picture() -> str:
    """Returns the picture as SVG.

    Raises:
        KeyError: a node belongs to no stage.
    """
    nodes = create_pipeline(parse_config(_CONFIG, "/"), RunInputs("", "")).components
    graph = {node.id: {after.id for after in node.downstream_nodes} for node in nodes}
    stop = {node.id for node in nodes if isinstance(node, Stop | StopOnRejects)}
    stage_of = {name: stage for stage, names in STAGES.items() for name in names}
    look = PictureStyle(
        "The steps of a run: data, model, release",
        stage_of.__getitem__,
        str,
        stop.__contains__,
    )
    return draw(graph, look)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture())
