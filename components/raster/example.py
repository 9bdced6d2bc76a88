"""The one example spec: the names under which a tf.Example carries an image and its truth.

Ingest writes it; statistics, training, evaluation and prediction read it. All images are RGB,
uint8, after the EXIF orientation was applied; ``image/encoded`` is the user's own file, unchanged.

=====================  =======  ==================================================================
feature                type     meaning
=====================  =======  ==================================================================
``image/encoded``      bytes    the JPEG or PNG file as it came
``image/format``       bytes    ``jpeg`` or ``png``, by content and not by name
``image/height``       int64    pixels, as decoded and oriented
``image/width``        int64    pixels, as decoded and oriented
``image/channels``     int64    channels in the file: 1, 2, 3 or 4
``image/sha256``       bytes    hex digest of the file
``image/key``          bytes    path below the source's root, ``/`` between parts
``label``              int64    index into the sorted class names
``label/text``         bytes    the class name
``labels``             int64    several classes of one image, as indices, where a source has them
``labels/text``        bytes    their names, in the same order
``image/brightness``   float    mean luma (ITU-R BT.601), 0 to 255
``image/sharpness``    float    deviation of the luma's 4-neighbour Laplacian
``image/mean_B``       float    mean of band B (0 red, 1 green, 2 blue), 0 to 255
``image/stddev_B``     float    standard deviation of band B
``slice/NAME``         any      a slice feature from the manifest: bytes, int64 or float
=====================  =======  ==================================================================
"""

ENCODED = "image/encoded"
FORMAT = "image/format"
HEIGHT = "image/height"
WIDTH = "image/width"
CHANNELS = "image/channels"
SHA256 = "image/sha256"
KEY = "image/key"
LABEL = "label"
LABEL_TEXT = "label/text"
LABELS = "labels"
LABELS_TEXT = "labels/text"
BRIGHTNESS = "image/brightness"
SHARPNESS = "image/sharpness"
SLICE_PREFIX = "slice/"

SPLITS = ("train", "eval", "test")

#: Features that identify or carry an image; statistics never read them.
UNCOUNTED = (ENCODED, SHA256, KEY)


def mean_of_band(band: int) -> str:
    """The feature that holds the mean of a band, counted from 0."""
    return f"image/mean_{band}"


def stddev_of_band(band: int) -> str:
    """The feature that holds the standard deviation of a band, counted from 0."""
    return f"image/stddev_{band}"


def slice_feature(name: str) -> str:
    """The feature that holds the slice feature of a manifest's column."""
    return SLICE_PREFIX + name
