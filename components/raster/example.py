"""The one example spec: names of the features by which a tf.Example carries an image and its truth.

Ingest writes it; statistics, training, evaluation and prediction read it. Photographs are RGB,
uint8, with the EXIF orientation applied; their ``image/encoded`` is the user's own file, unchanged.
Tiles of rasters hold stored numbers, or scaled values; their ``image/encoded`` is a payload
(`components.raster.payload`).

=======================  =======  ================================================================
feature                  type     meaning
=======================  =======  ================================================================
``image/encoded``        bytes    the JPEG or PNG file as it came, or a tile's payload
``image/format``         bytes    ``jpeg`` or ``png``, by content and not by name; ``tile``
``image/height``         int64    pixels, as decoded and oriented
``image/width``          int64    pixels, as decoded and oriented
``image/channels``       int64    channels in the file: 1, 2, 3 or 4; a tile's bands
``image/sha256``         bytes    hex digest of ``image/encoded``
``image/key``            bytes    path below the source's root, ``/`` between parts; of a scene's
                                  tile ``scene@row,col,heightxwidth``
``label``                int64    index into the class names
``label/text``           bytes    the class name
``labels``               int64    several classes of one image, as indices, where a source has them
``labels/text``          bytes    their names, in the same order
``slice/NAME``           any      a slice feature from the manifest: bytes, int64 or float
-----------------------  -------  ----------------------------------------------------------------
of photographs
-----------------------  -------  ----------------------------------------------------------------
``image/brightness``     float    mean luma (ITU-R BT.601), 0 to 255
``image/sharpness``      float    deviation of the luma's 4-neighbour Laplacian
``image/mean_B``         float    mean of band B (0 red, 1 green, 2 blue), 0 to 255
``image/stddev_B``       float    standard deviation of band B
-----------------------  -------  ----------------------------------------------------------------
of tiles
-----------------------  -------  ----------------------------------------------------------------
``image/bands``          bytes    names of the bands, in the payload's order
``image/mean_NAME``      float    mean of a band's valid pixels, in the tile's units
``image/stddev_NAME``    float    standard deviation of a band's valid pixels
``image/valid_fraction``  float   share of the pixels that are valid, above 0 to 1
``image/scene``          bytes    the scene's id; of a chip its group, where it has one
``image/date``           bytes    day of the acquisition, ISO 8601, where known
``image/sensor``         bytes    where known
``image/crs``            bytes    an authority's code, or WKT; absent without a map
``image/transform``      bytes    ``a b c d e f``: (column, row) to (x, y) in the CRS, exactly
``image/bounds``         float    left, bottom, right, top in the CRS
``image/longitude``      float    of the centre, WGS 84 degrees; absent without a map
``image/latitude``       float    of the centre
``image/gsd_m``          float    metres on the ground from row to row; absent without a map
-----------------------  -------  ----------------------------------------------------------------
truth of scenes, by the target
-----------------------  -------  ----------------------------------------------------------------
``target/number``        float    the number to predict
``mask/encoded``         bytes    PNG, gray, 8 or 16 bits: class indices, the largest is not truth
``mask/format``          bytes    ``png``
``object/bbox/ymin``     float    top edge of each object, in pixels of the tile; also
                                  ``xmin``, ``ymax`` and ``xmax``
``object/label``         int64    class of each object
``object/label/text``    bytes    its name
=======================  =======  ================================================================

The floats of a tf.Example have 24 bits, half a metre of a northing; so the transform is text, which
keeps the exact numbers.
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

BANDS = "image/bands"
VALID_FRACTION = "image/valid_fraction"
SCENE = "image/scene"
DATE = "image/date"
SENSOR = "image/sensor"
CRS = "image/crs"
TRANSFORM = "image/transform"
BOUNDS = "image/bounds"
LONGITUDE = "image/longitude"
LATITUDE = "image/latitude"
GSD_M = "image/gsd_m"
NUMBER = "target/number"
MASK_ENCODED = "mask/encoded"
MASK_FORMAT = "mask/format"
BOX_EDGES = ("object/bbox/ymin", "object/bbox/xmin", "object/bbox/ymax", "object/bbox/xmax")
OBJECT_LABEL = "object/label"
OBJECT_LABEL_TEXT = "object/label/text"

#: The value of ``image/format`` for tiles of rasters.
TILE_FORMAT = "tile"

SPLITS = ("train", "eval", "test")

#: Features that identify, carry or locate an image; statistics never read them. Places and days are
#: expected to change, so their drift means nothing.
UNCOUNTED = (
    *(ENCODED, SHA256, KEY, BANDS, SCENE, DATE, CRS, TRANSFORM, BOUNDS, LONGITUDE, LATITUDE),
    *(MASK_ENCODED, MASK_FORMAT, *BOX_EDGES),
)
#: Counted features that are optional in an example.
OPTIONAL = (SENSOR, GSD_M)
#: Counted features with any number of values in an example, zero included.
SEVERAL = (LABELS, LABELS_TEXT, OBJECT_LABEL, OBJECT_LABEL_TEXT)


def mean_of_band(band: int | str) -> str:
    """Returns the feature name of a band's mean: by name, or for photographs by index from 0."""
    return f"image/mean_{band}"


def stddev_of_band(band: int | str) -> str:
    """Returns the feature name of a band's standard deviation; bands as in `mean_of_band`."""
    return f"image/stddev_{band}"


def slice_feature(name: str) -> str:
    """Returns the feature name of a manifest column's slice feature."""
    return SLICE_PREFIX + name
