"""The names of the served signatures, their inputs and their outputs; nothing is imported here."""

BYTES_SIGNATURE = "serving_default"
BYTES_INPUT = "image_bytes"
EXAMPLES_SIGNATURE = "serving_examples"
EXAMPLES_INPUT = "examples"

#: The one input of each signature.
INPUT_OF = {BYTES_SIGNATURE: BYTES_INPUT, EXAMPLES_SIGNATURE: EXAMPLES_INPUT}

CLASS_OUTPUT = "class"
PROBABILITIES_OUTPUT = "probabilities"
CLASSES_OUTPUT = "classes"

#: What every signature answers with.
OUTPUTS = (CLASS_OUTPUT, PROBABILITIES_OUTPUT, CLASSES_OUTPUT)
