"""Decoding of a JPEG or PNG to the model's input tensor, in stock TensorFlow ops.

Training, evaluation and the served model share this decoder, and ingest runs it on every image
that is not plain. docs/images.md describes the result for each kind of file.
"""

import tensorflow as tf

from components.raster.image import (
    JPEG_MAGIC,
    JPEG_SCAN_MARKER,
    PNG_MAGIC,
    ImageSpec,
    Refusal,
)
from serving.graph.fitting import resample
from serving.graph.refusing import require

# The orientation tag (0x0112, one SHORT) of an IFD0 directly after its TIFF header, where all
# cameras and libraries put it (Exif 2.32, 4.5 and 4.6.2). \C is one byte of any value.
_ENTRIES = r"\C\C(?:\C{12}){0,40}?"
_EXIF_BIG = r"MM\x00\x2a\x00\x00\x00\x08" + _ENTRIES + r"\x01\x12\x00\x03\x00\x00\x00\x01\x00(\C)"
_EXIF_LITTLE = r"II\x2a\x00\x08\x00\x00\x00" + _ENTRIES + r"\x12\x01\x03\x00\x01\x00\x00\x00(\C)"
_EXIF_HEAD_BYTES = 1024
_LEAST_BYTES = 24  # a PNG's signature and the sizes in its IHDR chunk


# AutoGraph would take seconds and find nothing to convert: the code builds the graph itself.
@tf.autograph.experimental.do_not_convert
def decode_images(encoded: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Decodes, orients and fits a batch: string [N] to uint8 [N, H, W, 3].

    Raises:
        tf.errors.InvalidArgumentError: its message begins with a `Refusal`, or is TensorFlow's own
            for a file with broken content.
    """
    return tf.map_fn(
        lambda one: fit_image(_decode(one, spec), spec),
        _inspect(encoded, spec),
        fn_output_signature=tf.TensorSpec(spec.shape, tf.uint8),
    )


@tf.autograph.experimental.do_not_convert
def decode_image(encoded: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Decodes one file at its own size: string [] to uint8 [h, w, 3], oriented by its EXIF tag.

    Raises:
        tf.errors.InvalidArgumentError: as in `decode_images`.
    """
    return _decode(tuple(column[0] for column in _inspect(encoded[tf.newaxis], spec)), spec)


def decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one JPEG without applying its orientation: string [] to uint8 [h, w, 3]."""
    # Other decoders use the accurate transform; with it the results are bit-equal.
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def fit_image(image: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Fits uint8 [h, w, 3] to the model's shape; an image of that shape stays bit-equal."""
    same = tf.reduce_all(tf.shape(image)[:2] == (spec.height_px, spec.width_px))
    fitted = tf.cond(
        same,
        lambda: image,
        lambda: tf.saturate_cast(tf.round(resample(image, spec)), tf.uint8),
    )
    return tf.ensure_shape(fitted, spec.shape)


def exif_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation (1 to 8) of each JPEG, 1 if none: string [N] to int32 [N]."""
    head = tf.strings.substr(encoded, 0, _EXIF_HEAD_BYTES)
    codes = tf.constant([bytes([value]) for value in range(1, 9)])
    found = [
        tf.equal(tf.strings.regex_replace(head, _whole(exif), r"\1")[:, tf.newaxis], codes)
        for exif in (_EXIF_BIG, _EXIF_LITTLE)
    ]
    # Without a hit every column is False and argmax returns the first: orientation 1.
    hit = tf.cast(found[0] | found[1], tf.int32)
    return tf.argmax(hit, axis=1, output_type=tf.int32) + 1


def orient(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Undoes EXIF orientations 2 to 8 of uint8 [h, w, 3] (Exif 2.32, 4.6.4)."""

    def turned() -> tf.Tensor:
        upright = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        rows = tf.reduce_any(orientation == (3, 4, 7, 8))
        cols = tf.reduce_any(orientation == (2, 3, 6, 7))
        upright = tf.cond(rows, lambda: tf.reverse(upright, [0]), lambda: upright)
        return tf.cond(cols, lambda: tf.reverse(upright, [1]), lambda: upright)

    return tf.cond(orientation > 1, turned, lambda: image)


def _inspect(encoded: tf.Tensor, spec: ImageSpec) -> tuple[tf.Tensor, ...]:
    """Inspects the headers of a batch: file, kind, orientation, number of scans."""
    is_png = tf.equal(tf.strings.substr(encoded, 0, len(PNG_MAGIC)), PNG_MAGIC)
    is_jpeg = tf.equal(tf.strings.substr(encoded, 0, len(JPEG_MAGIC)), JPEG_MAGIC)
    length = tf.strings.length(encoded)
    known, long = is_png | is_jpeg, length > spec.max_bytes
    short = (known & (length < _LEAST_BYTES)) | (length == 0)
    # A graph runs its checks in any order, so no file may fail two of them.
    checks = [
        require(~short, Refusal.CORRUPT, "the file ends within its header"),
        require(~long, Refusal.TOO_MANY_BYTES, f"the limit is {spec.max_bytes}"),
        require(
            known | short | long,
            Refusal.UNSUPPORTED_FORMAT,
            "the bytes are neither JPEG nor PNG",
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(encoded), is_png, exif_orientation(encoded), _scans(encoded)


def _decode(inspected: tuple[tf.Tensor, ...], spec: ImageSpec) -> tf.Tensor:
    """Decodes one file at its own size, given one element of `_inspect`'s result."""
    encoded, is_png, orientation, scans = inspected

    def png() -> tf.Tensor:
        with tf.control_dependencies([_require_few(_png_pixels(encoded), spec)]):
            return tf.io.decode_png(encoded, channels=3)

    def jpeg() -> tf.Tensor:
        pixels = _jpeg_pixels(encoded)
        work = require(
            (pixels * scans <= spec.max_scan_pixels) | (pixels > spec.max_pixels),
            Refusal.TOO_MUCH_WORK,
            f"the limit on pixels times JPEG scans is {spec.max_scan_pixels}",
        )
        with tf.control_dependencies([_require_few(pixels, spec), work]):
            return decode_jpeg(encoded)

    return orient(tf.cond(is_png, png, jpeg), orientation)


def _whole(exif: str) -> str:
    """Returns a pattern that matches the whole head, so that only the captured byte remains."""
    return r"(?s)^\C{4,64}?Exif\x00\x00" + exif + r"\C*$"


def _png_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """Returns height times width from the IHDR chunk (PNG 3rd edition, 11.2.2): int64 []."""
    header = tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.uint8, fixed_length=8)
    sides = tf.reshape(tf.cast(header, tf.int64), (2, 4)) * (2**24, 2**16, 2**8, 1)
    return tf.reduce_prod(tf.reduce_sum(sides, axis=1))


def _jpeg_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """Returns height times width from the frame header: int64 []."""
    return tf.reduce_prod(tf.image.extract_jpeg_shape(encoded, tf.int64)[:2])


def _scans(encoded: tf.Tensor) -> tf.Tensor:
    """Counts the JPEG scans of each file: string [N] to int64 [N]. Coded data holds no marker."""
    return tf.strings.split(encoded, JPEG_SCAN_MARKER).row_lengths() - 1


def _require_few(pixels: tf.Tensor, spec: ImageSpec) -> tf.Operation:
    return require(
        pixels <= spec.max_pixels,
        Refusal.TOO_MANY_PIXELS,
        f"the header declares more than the limit of {spec.max_pixels}",
    )
