"""Names of the served signatures, their inputs and outputs; imported by clients."""

from components.raster.task import Task

BYTES_SIGNATURE = "serving_default"
BYTES_INPUT = "image_bytes"
EXAMPLES_SIGNATURE = "serving_examples"
EXAMPLES_INPUT = "examples"

#: Returns the model's contract: its JSON in each row, one row for each input row.
CONTRACT_SIGNATURE = "serving_contract"
CONTRACT_INPUT = "request"
CONTRACT_OUTPUT = "contract"

#: The one input of each prediction signature.
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

#: Outputs of every signature of a single-label model.
OUTPUTS = (CLASS_OUTPUT, PROBABILITIES_OUTPUT, CLASSES_OUTPUT)

#: Outputs of every signature, by the model's task.
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
