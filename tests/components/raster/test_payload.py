"""A payload decodes to the tile, bit for bit, or is refused with a reason."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.raster.image import Refusal
from components.raster.payload import (
    HEADER_BYTES,
    SAMPLE_TYPES,
    PayloadError,
    decode_payload,
    encode_payload,
    read_header,
)
from components.raster.scaling import Scaling


def tile(dtype, shape, seed=0):
    """Random bits of a type, so that every value, and every NaN, is among them."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    bits = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    return bits.view(dtype).reshape(shape)


def names(count):
    return tuple(f"B{number:02}" for number in range(1, count + 1))


@pytest.mark.parametrize("dtype", SAMPLE_TYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3), (64, 64, 13), (3, 300, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_what_goes_in_comes_out(dtype, shape, masked):
    pixels = tile(dtype, shape)
    valid = np.random.default_rng(1).random(shape[:2]) < 0.5 if masked else None
    payload = encode_payload(pixels, names(shape[2]), valid)
    back = decode_payload(payload)
    assert back.pixels.dtype == pixels.dtype
    assert back.pixels.tobytes() == pixels.tobytes()
    assert np.array_equal(back.valid, np.ones(shape[:2], bool) if valid is None else valid)
    assert back.bands == names(shape[2])
    header = read_header(payload)
    assert (header.height, header.width, header.bands) == (*shape[:2], back.bands)
    assert (header.dtype, header.has_mask) == (dtype, masked)


@given(
    dtype=st.sampled_from(SAMPLE_TYPES),
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 6)),
    seed=st.integers(0, 2**32),
    share=st.sampled_from([None, 0.0, 0.4, 1.0]),
)
@settings(deadline=None, derandomize=True, database=None)
def test_any_tile_comes_back(dtype, shape, seed, share):
    pixels = tile(dtype, shape, seed)
    valid = None if share is None else np.random.default_rng(seed).random(shape[:2]) < share
    back = decode_payload(encode_payload(pixels, names(shape[2]), valid))
    assert (back.pixels.dtype, back.pixels.tobytes()) == (pixels.dtype, pixels.tobytes())
    assert np.array_equal(back.valid, np.ones(shape[:2], bool) if valid is None else valid)


def test_views_and_byte_orders_are_the_same_tile():
    pixels = tile("uint16", (8, 6, 4))
    wanted = encode_payload(pixels, names(4))
    assert encode_payload(np.asfortranarray(pixels), names(4)) == wanted
    assert encode_payload(pixels.astype(">u2"), names(4)) == wanted


def test_the_image_inside_is_a_png_of_planes():
    pixels = tile("int16", (5, 4, 2))
    valid = np.eye(5, 4, dtype=bool)
    payload = encode_payload(pixels, ("é", "nir"), valid)
    png = Image.open(io.BytesIO(payload[read_header(payload).data_offset :]))
    low, high = (pixels.view("uint16") & 255), (pixels.view("uint16") >> 8)
    planes = [low[..., 0], low[..., 1], high[..., 0], high[..., 1], valid]
    assert (png.mode, png.size) == ("L", (4, 25))
    assert np.array_equal(np.asarray(png), np.concatenate(planes))


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool", "complex64", "float16"])
def test_other_types_are_refused(dtype):
    with pytest.raises(PayloadError, match=f"type {dtype}; convert"):
        encode_payload(np.zeros((4, 4, 1), dtype), ("a",))


@pytest.mark.parametrize("shape", [(500_050, 1, 1), (1, 1_000_001, 1), (250_050, 1, 2)])
def test_what_no_png_decoder_takes_is_refused(shape):
    with pytest.raises(PayloadError, match="too_many_pixels: .* make smaller tiles"):
        encode_payload(np.zeros(shape, np.uint16), names(shape[2]))


@pytest.mark.parametrize("bands", [(), ("a",), ("a", "a"), ("a", ""), ("a", "b\nc")])
def test_bands_need_a_name_each(bands):
    with pytest.raises(ValueError, match="bands|names"):
        encode_payload(np.zeros((4, 4, 2), np.uint8), bands)


def test_no_part_of_a_payload_is_one():
    payload = encode_payload(tile("uint16", (6, 5, 3)), names(3), np.ones((6, 5), bool))
    for length in range(len(payload)):
        with pytest.raises(PayloadError):
            decode_payload(payload[:length])


def test_no_flipped_bit_passes_for_another_tile():
    """Samples are guarded by a checksum, sizes and types by the image that must fit them."""
    pixels = tile("uint8", (6, 5, 3))
    payload = encode_payload(pixels, ("ab", "cd", "ef"))
    for at in range(8 * len(payload)):
        flipped = bytearray(payload)
        flipped[at // 8] ^= 1 << at % 8
        try:
            back = decode_payload(bytes(flipped))
        except PayloadError:
            continue
        in_names = HEADER_BYTES <= at // 8 < HEADER_BYTES + 8
        assert in_names or at // 8 in (5, 7)  # a letter, the sign of a byte, what samples are
        assert back.pixels.tobytes() == pixels.tobytes()


@pytest.mark.parametrize(
    ("payload", "refusal"),
    [
        (b"", Refusal.CORRUPT),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), Refusal.UNSUPPORTED_FORMAT),
        (b"SKYT\x02" + bytes(40), Refusal.UNSUPPORTED_FORMAT),
        (b"SKYT\x01", Refusal.CORRUPT),
        (b"SKYT\x01" + bytes(40), Refusal.CORRUPT),
    ],
)
def test_what_is_no_payload_is_refused_by_name(payload, refusal):
    with pytest.raises(PayloadError) as caught:
        decode_payload(payload)
    assert caught.value.refusal is refusal
    assert str(caught.value).startswith(f"{refusal}: ")


def test_a_header_cannot_ask_for_more_than_is_allowed():
    payload = bytearray(encode_payload(tile("uint8", (6, 5, 1)), ("a",)))
    struct.pack_into("<II", payload, 8, 2**32 - 1, 2**32 - 1)
    with pytest.raises(PayloadError, match="too_many_pixels"):
        decode_payload(bytes(payload))
    small = encode_payload(tile("uint8", (6, 5, 1)), ("a",))
    with pytest.raises(PayloadError, match="too_many_pixels"):
        decode_payload(small, max_samples=29)


def test_a_bomb_unpacks_no_further_than_its_header_says():
    plain = encode_payload(np.zeros((8, 8, 1), np.uint8), ("a",))
    data = zlib.compress(bytes(100_000_000))
    chunk = b"IDAT" + data
    start = plain.index(b"IDAT") - 4
    bomb = plain[:start] + struct.pack(">I", len(data)) + chunk
    bomb += struct.pack(">I", zlib.crc32(chunk)) + plain[plain.index(b"IEND") - 4 :]
    tracemalloc.start()
    with pytest.raises(PayloadError, match="corrupt"):
        decode_payload(bomb)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_payload_says_whether_its_samples_are_scaled():
    pixels = tile("float32", (6, 5, 3))
    for values in ("stored", "scaled"):
        payload = encode_payload(pixels, names(3), values=values)
        assert read_header(payload).values == decode_payload(payload).values == values
    assert encode_payload(pixels, names(3)) == encode_payload(pixels, names(3), values="stored")


def test_a_payload_says_what_its_stored_numbers_mean():
    pixels = tile("uint16", (6, 5, 3))
    scalings = [Scaling(1e-4, -0.1), Scaling(), Scaling(float(np.float32(2.75e-5)), -0.2)]
    payload, plain = (
        encode_payload(pixels, names(3), scalings=scalings),
        encode_payload(pixels, names(3)),
    )
    assert read_header(payload).scalings == ("0.0001 -0.1", "1 0", "2.75e-05 -0.2")
    assert read_header(plain).scalings is None
    assert payload.startswith(plain)  # what follows a PNG is read by nobody who does not know it
    assert np.array_equal(decode_payload(payload).pixels, pixels)
    with pytest.raises(ValueError, match="2 scalings of the bands"):
        encode_payload(pixels, names(3), scalings=scalings[:2])
