"""Report of a TensorFlow error: its message, by the refusal's name, and no graph node."""

import pytest

from components.raster.graph_errors import CORRUPT, plain_message, refusal_message
from components.raster.image import Refusal

NODE = "\n\t [[{{function_node map_while_cond_true_153}}{{node map/while/cond/DecodePng}}]]"
TWO_ROOTS = f"""2 root error(s) found.
  (0) INVALID_ARGUMENT: Invalid PNG data, size 7{NODE}
\t [[StatefulPartitionedCall/_5]]
  (1) INVALID_ARGUMENT: Invalid JPEG data, size 9{NODE}
0 successful operations.
0 derived errors ignored."""
EAGER = """Graph execution error:

Detected at node map/while/cond/Reshape defined at (most recent call last):
<stack traces unavailable>
Input to reshape is a tensor with 9 values [Op:__inference_h_378]"""

TRACED = """Graph execution error:

Detected at node DecodePng defined at (most recent call last):
  File "train.py", line 7, in fit

  File "decode.py", line 6, in decode

Unknown image file format.
\t [[{{node DecodePng}}]] [Op:__inference_f_6]"""


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        (
            f"Input to reshape is a tensor with 9 values{NODE}",
            "Input to reshape is a tensor with 9",
        ),
        (f"assertion failed: [too_many_pixels: 9 > 4]{NODE}", "too_many_pixels: 9 > 4"),
        ("{{function_node __wrapped__Pad}} {{node Pad}} no room [Op:Pad] name: p", "no room"),
        (TWO_ROOTS, "Invalid PNG data, size 7"),
        (TRACED, "Unknown image file format."),
        (EAGER, "Input to reshape is a tensor with 9 values"),
        ("bad [[Node: a/b = Op[T=DT_INT8](c, d)]]", "bad"),
        ("Errors\n\nOriginal stack trace for 'a/b':\n  File x", "Errors"),
        ("a value [[1 2] [3 4]] of the user's", "a value [[1 2] [3 4]] of the user's"),
    ],
)
def test_nodes_are_not_told(message: str, plain: str) -> None:
    got = plain_message(message)
    assert got.startswith(plain)
    for graphs_own in ("{{", "node ", "while", "root error", "[Op:", "/_5"):
        assert graphs_own not in got


@pytest.mark.parametrize(
    "words",
    [
        "Invalid PNG. Failed to initialize decoder.",
        "Invalid PNG data, size 30732",
        "jpeg::Uncompress failed. Invalid JPEG data or crop window.",
        "Invalid JPEG data, size 200",
    ],
)
def test_a_file_that_is_broken_inside_is_corrupt(words: str) -> None:
    assert Refusal.CORRUPT == CORRUPT
    assert refusal_message(words + NODE) == f"corrupt: {words}"


def test_other_errors_keep_their_words() -> None:
    assert refusal_message(f"Matrix size-incompatible{NODE}") == "Matrix size-incompatible"
    assert refusal_message(f"assertion failed: [corrupt: cut]{NODE}") == "corrupt: cut"
