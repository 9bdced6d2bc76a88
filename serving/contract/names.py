"""Names of the served signatures and their inputs; `serving.tasks` has those of the outputs."""

BYTES_SIGNATURE = "serving_default"
BYTES_INPUT = "image_bytes"
EXAMPLES_SIGNATURE = "serving_examples"
EXAMPLES_INPUT = "examples"

#: Returns the model's contract: its JSON in each row, one row for each input row.
CONTRACT_SIGNATURE = "serving_contract"
CONTRACT_INPUT = "request"
CONTRACT_OUTPUT = "contract"

#: Decoded tiles, for maps made in the model's own process.
PIXELS_SIGNATURE = "serving_pixels"
PIXELS_INPUT = "pixels"

#: Segmentation: each image's class probabilities as one string, for maps made through a server.
PLANES_SIGNATURE = "serving_planes"

#: The one input of each prediction signature.
INPUT_OF = {BYTES_SIGNATURE: BYTES_INPUT, EXAMPLES_SIGNATURE: EXAMPLES_INPUT}
