"""The names of the served signatures, their inputs and their outputs; clients import this."""

from components.raster.task import Task

BYTES_SIGNATURE = "serving_default"
BYTES_INPUT = "image_bytes"
EXAMPLES_SIGNATURE = "serving_examples"
EXAMPLES_INPUT = "examples"

#: Asks a model for its contract: a row of its JSON for each row that is sent.
CONTRACT_SIGNATURE = "serving_contract"
CONTRACT_INPUT = "request"
CONTRACT_OUTPUT = "contract"

#: The one input of each signature that answers about images.
INPUT_OF = {BYTES_SIGNATURE: BYTES_INPUT, EXAMPLES_SIGNATURE: EXAMPLES_INPUT}

CLASS_OUTPUT = "class"
PROBABILITIES_OUTPUT = "probabilities"
CLASSES_OUTPUT = "classes"
PRESENT_OUTPUT = "present"
VALUE_OUTPUT = "value"
CLASS_RASTER_OUTPUT = "class_raster"
CONFIDENCE_OUTPUT = "confidence"
BOXES_OUTPUT = "boxes"
BOX_LABELS_OUTPUT = "box_labels"
BOX_CLASSES_OUTPUT = "box_classes"
BOX_SCORES_OUTPUT = "box_scores"

#: What every signature of a model of one class an image answers with.
OUTPUTS = (CLASS_OUTPUT, PROBABILITIES_OUTPUT, CLASSES_OUTPUT)

#: What every signature answers with, by the model's task.
OUTPUTS_OF: dict[Task, tuple[str, ...]] = {
    "single_label": OUTPUTS,
    "multi_label": (PROBABILITIES_OUTPUT, CLASSES_OUTPUT, PRESENT_OUTPUT),
    "regression": (VALUE_OUTPUT,),
    "segmentation": (CLASS_RASTER_OUTPUT, CONFIDENCE_OUTPUT, CLASSES_OUTPUT),
    "detection": (
        BOXES_OUTPUT,
        BOX_LABELS_OUTPUT,
        BOX_CLASSES_OUTPUT,
        BOX_SCORES_OUTPUT,
        CLASSES_OUTPUT,
    ),
}
