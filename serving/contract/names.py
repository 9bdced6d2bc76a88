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

#: Explanations, of models exported with them (`serving.contract.explanations`): the images, and
#: the part of each answer to explain; empty for the answer's own class, number or object.
EXPLAIN_SIGNATURE = "serving_explain"
TARGET_INPUT = "target"
#: The explained class, number or object; its score for the image and for the baseline; the sum of
#: the attributions, which should equal their difference; and heat maps as gray PNGs of 16 bits.
#: REST encodes outputs with this suffix as base64.
EXPLAINED_OUTPUT = "explained"
SCORE_OUTPUT = "score"
BASELINE_SCORE_OUTPUT = "baseline_score"
ATTRIBUTION_SUM_OUTPUT = "attribution_sum"
GRADIENTS_OUTPUT = "integrated_gradients_bytes"
GRAD_CAM_OUTPUT = "grad_cam_bytes"

#: For models with explanations: the features of each image as one vector, and the network's outputs
#: for it.
EMBEDDING_SIGNATURE = "serving_embedding"
EMBEDDING_OUTPUT = "embedding"
OUTPUTS_OUTPUT = "outputs"

#: The one input of each prediction signature.
INPUT_OF = {BYTES_SIGNATURE: BYTES_INPUT, EXAMPLES_SIGNATURE: EXAMPLES_INPUT}
