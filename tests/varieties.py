"""One image of every variety in docs/images.md, with the tensor that it must become.

The answers come from Pillow and numpy only, without our own code or TensorFlow.
"""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from components.raster.image import ImageSpec, Refusal

Pixels = npt.NDArray[np.uint8]

#: The bounds under which the varieties are judged: small, so that bombs can be small as well.
SPEC = ImageSpec(
    height_px=24, width_px=40, max_bytes=200_000, max_pixels=100_000, max_scan_pixels=400_000
)

HEIGHT, WIDTH = 31, 45


@dataclass(frozen=True)
class Variety:
    """A file and its outcome: uint8 [h, w, 3], or the name of its refusal.

    `tolerance` is the largest difference from Pillow's values, where the two round differently.
    """

    data: bytes
    outcome: Pixels | Refusal
    tolerance: int = 0


@cache
def scene() -> Pixels:
    """An RGB picture without any symmetry: gradients, an edge and a little noise."""
    rows, cols = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = np.stack([rows * 8, cols * 5, (rows * 3 + cols * 2) % 256], axis=-1)
    picture[5:12, 20:40] = (220, 40, 90)
    noise = np.random.default_rng(7).integers(0, 12, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _rgb(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _as_pillow(data: bytes, tolerance: int = 0) -> Variety:
    return Variety(data, _rgb(Image.open(io.BytesIO(data))), tolerance)


def _jpeg(mode: str = "RGB", **options: object) -> Variety:
    return _as_pillow(_saved(Image.fromarray(scene()).convert(mode), "JPEG", **options))


def _cmyk() -> Variety:
    data = _saved(Image.fromarray(scene()).convert("CMYK"), "JPEG", quality=95)
    return _as_pillow(data, tolerance=1)


def _ycck() -> Variety:
    inks = np.asarray(ImageOps.invert(Image.fromarray(scene())).convert("RGB"))
    cmyk = np.dstack([255 - inks, np.full((HEIGHT, WIDTH), 200, np.uint8)])
    data = simplejpeg.encode_jpeg(cmyk, colorspace="CMYK", colorsubsampling="444", quality=95)
    return _as_pillow(data, tolerance=1)


def _oriented(orientation: int, prefix: bytes = b"") -> Variety:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a maker, so that the tag is not the only one"
    data = _saved(Image.fromarray(scene()), "JPEG", exif=exif.tobytes(), quality=90)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return Variety(data, _rgb(upright))


def _oriented_big_endian() -> Variety:
    tiff = b"MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06" + bytes(6)
    data = _saved(Image.fromarray(scene()), "JPEG", exif=b"Exif\x00\x00" + tiff)
    return Variety(data, np.rot90(_rgb(Image.open(io.BytesIO(data))), k=-1))


def _patched_frame(marker: int | None = None, precision: int | None = None) -> bytes:
    """A JPEG whose frame header claims another process (T.81, table B.1) or sample precision."""
    data = bytearray(_saved(Image.fromarray(scene()), "JPEG"))
    frame = data.index(b"\xff\xc0")
    if marker is not None:
        data[frame + 1] = marker
    if precision is not None:
        data[frame + 4] = precision
    return bytes(data)


def _jpeg_of_declared_size(height: int, width: int) -> bytes:
    data = bytearray(_saved(Image.fromarray(scene()), "JPEG"))
    frame = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, frame + 5, height, width)
    return bytes(data)


def _jpeg_of_many_scans() -> bytes:
    """A progressive JPEG whose last scan is repeated many times."""
    data = _saved(Image.fromarray(scene()), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 400 + data[-2:]


def _png(image: Image.Image, **options: object) -> Variety:
    return _as_pillow(_saved(image, "PNG", **options))


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def write_png(
    rows: bytes,
    width: int,
    height: int,
    depth: int,
    color: int,
    interlace: int = 0,
    extra: bytes = b"",
) -> bytes:
    """A PNG around filtered scanlines, for forms that Pillow does not write (PNG 3rd ed., 11.2)."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            extra,
            _chunk(b"IDAT", zlib.compress(rows)),
            _chunk(b"IEND", b""),
        )
    )


def _scanlines(samples: npt.NDArray[np.generic]) -> bytes:
    """Rows with filter type 0 before each; 16-bit samples most significant byte first."""
    big = samples.astype(">u2") if samples.dtype.itemsize == 2 else samples
    return b"".join(b"\x00" + row.tobytes() for row in big)


def _deep(samples: npt.NDArray[np.uint16]) -> Variety:
    gray = samples.ndim == 2
    data = write_png(_scanlines(samples), WIDTH, HEIGHT, 16, 0 if gray else 2)
    high = (samples >> 8).astype(np.uint8)
    return Variety(data, np.repeat(high[..., np.newaxis], 3, axis=-1) if gray else high)


def _random_deep(*shape: int) -> npt.NDArray[np.uint16]:
    return np.random.default_rng(11).integers(0, 2**16, shape).astype(np.uint16)


def _few_bits(depth: int) -> Variety:
    """Grey samples of 1, 2 or 4 bits: their range stretches to 0 to 255."""
    values = np.random.default_rng(5).integers(0, 2**depth, (HEIGHT, WIDTH)).astype(np.uint8)
    bits = np.unpackbits(values[..., np.newaxis], axis=-1)[..., -depth:].reshape(HEIGHT, -1)
    data = write_png(_scanlines(np.packbits(bits, axis=-1)), WIDTH, HEIGHT, depth, 0)
    grey = values * (255 // (2**depth - 1))
    return Variety(data, np.repeat(grey[..., np.newaxis], 3, axis=-1).astype(np.uint8))


def _interlaced() -> Variety:
    """The seven passes of Adam7 (PNG 3rd edition, 8.2)."""
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    passes = [scene()[row::rows, col::cols] for row, col, rows, cols in (*starts, (1, 0, 2, 1))]
    rows = b"".join(_scanlines(np.ascontiguousarray(part)) for part in passes)
    return Variety(write_png(rows, WIDTH, HEIGHT, 8, 2, interlace=1), scene())


def _palette(transparent: bool) -> Variety:
    image = Image.fromarray(scene()).quantize(60)
    data = _saved(image, "PNG", **({"transparency": bytes(range(60))} if transparent else {}))
    return Variety(data, _rgb(image))


def _alpha(mode: str) -> Variety:
    image = Image.fromarray(scene()).convert(mode[:-1])
    veil = Image.fromarray(np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH)).astype("u1"))
    colors = _rgb(image)
    image.putalpha(veil)
    return Variety(_saved(image, "PNG"), colors)


def _animated() -> Variety:
    first = Image.fromarray(scene())
    second = Image.fromarray(255 - scene())
    return Variety(_saved(first, "PNG", save_all=True, append_images=[second]), scene())


def _with_gamma() -> Variety:
    extra = _chunk(b"gAMA", struct.pack(">I", 100_000))
    return Variety(write_png(_scanlines(scene()), WIDTH, HEIGHT, 8, 2, extra=extra), scene())


def _with_text() -> Variety:
    info = PngInfo()
    info.add_text("Comment", "a note", zip=True)
    return _png(Image.fromarray(scene()), pnginfo=info)


def _turned_png() -> Variety:
    exif = Image.Exif()
    exif[0x0112] = 6
    return Variety(_saved(Image.fromarray(scene()), "PNG", exif=exif), scene())


def _bad_checksum() -> bytes:
    data = bytearray(_png(Image.fromarray(scene())).data)
    data[data.index(b"IDAT") + 20] ^= 1
    return bytes(data)


def _other(kind: str) -> Variety:
    return Variety(_saved(Image.fromarray(scene()), kind), Refusal.UNSUPPORTED_FORMAT)


def _cut(variety: Variety, fraction: float) -> Variety:
    return Variety(variety.data[: int(len(variety.data) * fraction)], Refusal.CORRUPT)


#: By the name in the first column of the table in docs/images.md.
VARIETIES: dict[str, Callable[[], Variety]] = {
    "JPEG, YCbCr 4:2:0": lambda: _jpeg(subsampling=2),
    "JPEG, YCbCr 4:2:2": lambda: _jpeg(subsampling=1),
    "JPEG, YCbCr 4:4:4": lambda: _jpeg(subsampling=0, quality=95),
    "JPEG, grayscale": lambda: _jpeg("L"),
    "JPEG, progressive": lambda: _jpeg(progressive=True),
    "JPEG, restart markers": lambda: _jpeg(restart_marker_blocks=2),
    "JPEG, RGB": lambda: _jpeg(keep_rgb=True),
    "JPEG, CMYK": _cmyk,
    "JPEG, YCCK": _ycck,
    **{
        f"JPEG, EXIF orientation {value}": (lambda value=value: _oriented(value))
        for value in range(1, 9)
    },
    "JPEG, EXIF, big-endian": _oriented_big_endian,
    "JPEG named .png": lambda: _jpeg(),
    # Huffman codes read as arithmetic ones: no picture, but a stream that decoders must agree on.
    "JPEG, arithmetic-coded": lambda: _as_pillow(_patched_frame(marker=0xC9)),
    "JPEG, lossless": lambda: Variety(_patched_frame(marker=0xC3), Refusal.CORRUPT),
    "JPEG, 12-bit": lambda: Variety(_patched_frame(precision=12), Refusal.CORRUPT),
    "PNG, RGB": lambda: _png(Image.fromarray(scene())),
    "PNG, grayscale": lambda: _png(Image.fromarray(scene()).convert("L")),
    "PNG, 1-bit": lambda: _few_bits(1),
    "PNG, 2-bit": lambda: _few_bits(2),
    "PNG, 4-bit": lambda: _few_bits(4),
    "PNG, 16-bit grayscale": lambda: _deep(_random_deep(HEIGHT, WIDTH)),
    "PNG, 16-bit RGB": lambda: _deep(_random_deep(HEIGHT, WIDTH, 3)),
    "PNG, palette": lambda: _palette(transparent=False),
    "PNG, palette with transparency": lambda: _palette(transparent=True),
    "PNG, RGB with alpha": lambda: _alpha("RGBA"),
    "PNG, grayscale with alpha": lambda: _alpha("LA"),
    "PNG, interlaced": _interlaced,
    "PNG, animated": _animated,
    "PNG, gamma": _with_gamma,
    "PNG, text": _with_text,
    "PNG, EXIF orientation": _turned_png,
    "PNG named .jpg": lambda: _png(Image.fromarray(scene())),
    "GIF": lambda: _other("GIF"),
    "BMP": lambda: _other("BMP"),
    "WebP": lambda: _other("WEBP"),
    "TIFF": lambda: _other("TIFF"),
    "JPEG 2000": lambda: _other("JPEG2000"),
    "Text under an image's name": lambda: Variety(
        b"<html><body>404 Not Found</body></html>", Refusal.UNSUPPORTED_FORMAT
    ),
    "Zero bytes": lambda: Variety(b"", Refusal.CORRUPT),
    "A few bytes": lambda: Variety(b"\xff\xd8\xff\xe0\x00\x10JFIF", Refusal.CORRUPT),
    "JPEG, truncated": lambda: _cut(_jpeg(quality=95), 0.6),
    "JPEG, header alone": lambda: Variety(
        _jpeg().data[: _jpeg().data.index(b"\xff\xda")], Refusal.CORRUPT
    ),
    "PNG, truncated": lambda: _cut(_png(Image.fromarray(scene())), 0.6),
    "PNG, wrong checksum": lambda: Variety(_bad_checksum(), Refusal.CORRUPT),
    "PNG bomb": lambda: Variety(write_png(bytes(9), 60_000, 60_000, 8, 0), Refusal.TOO_MANY_PIXELS),
    "JPEG bomb": lambda: Variety(_jpeg_of_declared_size(65_500, 65_500), Refusal.TOO_MANY_PIXELS),
    "JPEG of many scans": lambda: Variety(_jpeg_of_many_scans(), Refusal.TOO_MUCH_WORK),
    "Too many bytes": lambda: Variety(_jpeg().data + bytes(SPEC.max_bytes), Refusal.TOO_MANY_BYTES),
}
