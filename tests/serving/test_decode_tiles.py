"""The graph reads a payload as the reference does, and refuses what the model cannot take."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.raster.image import Fit, ImageSpec, Refusal
from components.raster.payload import SAMPLE_TYPES, PayloadError, decode_payload, encode_payload
from components.raster.scaling import Scaling
from serving.graph.decode_tiles import decode_tiles

BANDS = ("B02", "B03", "B04", "B08")
H, W = 12, 9
SPEC = ImageSpec(height_px=H, width_px=W, bands=("B08", "B02"))


@pytest.fixture(scope="module")
def decode():
    """The decoder as a graph."""
    return tf.function(
        lambda encoded: decode_tiles(encoded, SPEC, {}),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )


def tile(dtype, shape=(H, W, 4), seed=0):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    bits = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    return bits.view(dtype).reshape(shape)


def mask(shape=(H, W), seed=1):
    return np.random.default_rng(seed).random(shape) < 0.7


def test_all_types_in_one_batch_are_what_the_reference_gives(decode):
    payloads = [encode_payload(tile(dtype), BANDS) for dtype in SAMPLE_TYPES]
    payloads += [encode_payload(tile(dtype, seed=2), BANDS, mask()) for dtype in SAMPLE_TYPES]
    pixels, valid = decode(payloads)
    assert pixels.dtype == tf.float32
    for payload, got, got_valid in zip(payloads, pixels.numpy(), valid.numpy(), strict=True):
        wanted = decode_payload(payload)
        chosen = wanted.pixels[:, :, [3, 0]].astype(np.float32)
        finite = wanted.valid & np.isfinite(chosen).all(axis=2)
        assert np.array_equal(got_valid, finite)
        assert np.array_equal(got, np.where(finite[..., None], chosen, 0))


def test_each_tile_finds_its_own_bands(decode):
    wanted = np.stack([np.full((H, W), 8), np.full((H, W), 2)], axis=-1)
    values = {"B02": 2, "B03": 3, "B08": 8, "thermal": 99}
    payloads = []
    for order in (("B02", "B08"), ("thermal", "B08", "B03", "B02"), ("B08", "B02", "B03")):
        pixels = np.stack([np.full((H, W), values[band], np.uint16) for band in order], axis=-1)
        payloads.append(encode_payload(pixels, order))
    assert all(np.array_equal(one, wanted) for one in decode(payloads)[0].numpy())


def test_no_tile_is_no_answer(decode):
    pixels, valid = decode(tf.constant([], tf.string))
    assert (pixels.shape, valid.shape) == ((0, H, W, 2), (0, H, W))


def test_missing_bands_are_named(decode):
    payload = encode_payload(tile("uint8", (H, W, 2)), ("B02", "B03"))
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decode([payload])
    message = caught.value.message
    assert "wrong_bands: the model needs B08, the tile has B02, B03" in message


def test_scaled_values_are_no_stored_numbers():
    pixels = tile("float32")
    payloads = {it: encode_payload(pixels, BANDS, values=it) for it in ("stored", "scaled")}
    for learnt, other, meant in (
        (None, "scaled", "the numbers that files store, the tile has values with scale and offset"),
        ("stored", "scaled", "the numbers that files store, the tile has values with scale"),
        ("scaled", "stored", "values with scale and offset applied, the tile has the numbers that"),
    ):
        spec = SPEC.model_copy(update={"values": learnt})
        got, _ = decode_tiles([payloads[learnt or "stored"]], spec)
        plain, _ = decode_tiles([payloads["stored"]], SPEC)
        assert np.array_equal(got, plain)
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            decode_tiles([payloads[other]], spec)
        assert f"wrong_values: the model learnt {meant}" in caught.value.message


def test_stored_numbers_must_mean_what_they_meant_in_training():
    pixels, learnt = tile("uint16"), {"B02": Scaling(1e-4, -0.1)}
    stated = [Scaling(1e-4, -0.1), Scaling(5), Scaling(6), Scaling()]
    payload = encode_payload(pixels, BANDS, scalings=stated)  # bands of no account have a say
    plain, _ = decode_tiles([encode_payload(pixels, BANDS)], SPEC)
    for known in (learnt, None):
        assert np.array_equal(decode_tiles([payload], SPEC, known)[0], plain)
    assert np.array_equal(decode_tiles([encode_payload(pixels, BANDS)], SPEC, learnt)[0], plain)
    for other, found in (
        ([Scaling(1e-4), *stated[1:]], "1 0, 0.0001 0 here"),
        ([*stated[:3], Scaling(2)], "2 0, 0.0001 -0.1 here"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            decode_tiles([encode_payload(pixels, BANDS, scalings=other)], SPEC, learnt)
        reported = (
            "wrong_values: scale and offset of B08, B02 were 1 0, 0.0001 -0.1 in training, and are"
        )
        assert f"{reported} {found}" in caught.value.message


def test_names_of_any_bytes_make_a_readable_message(decode):
    payload = encode_payload(tile("uint8", (H, W, 2)), ("xxxx", "B02" * 1000))
    payload = payload.replace(b"xxxx", b"\xff\x00\xe9x")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        decode([payload])
    [line] = [it for it in caught.value.message.splitlines() if "wrong_bands" in it]
    assert "needs B08, B02, the tile has \ufffd\ufffd\ufffdx, B02B02" in line
    assert len(line) < 600


def test_no_part_of_a_payload_is_a_tile(decode):
    payload = encode_payload(tile("uint16"), BANDS, mask())
    for length in range(len(payload)):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode([payload[:length]])


def changed(at, form, *values):
    payload = bytearray(encode_payload(tile("uint16"), BANDS))
    struct.pack_into(form, payload, at, *values)
    return bytes(payload)


def with_scales(before, after):
    scalings = [Scaling(1e-4, -0.1)] * len(BANDS)
    return encode_payload(tile("uint16"), BANDS, scalings=scalings).replace(before, after)


HOSTILE = {
    "nothing": b"",
    "a photograph": b"\xff\xd8\xff" + bytes(100),
    "a header cut short": b"SKYT\x01",
    "another version": changed(4, "<B", 2),
    "another type": changed(5, "<B", 7),
    "another kind of mask": changed(6, "<B", 2),
    "another kind of values": changed(7, "<B", 2),
    "no row": changed(8, "<I", 0),
    "rows more": changed(8, "<I", H + 1),
    "too many pixels": changed(8, "<II", 2**32 - 1, 2**32 - 1),
    "too many bands": changed(16, "<I", 1000),
    "a band more": changed(16, "<I", 5),
    "names beyond the end": changed(20, "<I", 2**32 - 1),
    "names into the image": changed(20, "<I", 40),
    "a scale too few": with_scales(b"-0.1\n0.0001", b"-0.1 0.0001"),
    "scales beyond the start": with_scales(b"\x00\x00\x00SKYN", b"\x00\x00\x7fSKYN"),
    "an image of colours": changed(24 + 15 + 25, "<B", 2),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_reference_and_the_graph_refuse_by_the_same_name(decode, name):
    with pytest.raises(PayloadError) as reference:
        decode_payload(HOSTILE[name])
    with pytest.raises(tf.errors.InvalidArgumentError) as graph:
        decode([HOSTILE[name]])
    named = [refusal for refusal in Refusal if f"{refusal}: " in graph.value.message]
    assert named == [reference.value.refusal]


def test_the_largest_pngs_are_read_and_no_larger_ones(decode):
    for shape in [(500_000, 1, 2), (1, 1_000_000, 2)]:
        payload = encode_payload(np.full(shape, 7, np.uint8), SPEC.bands)
        assert decode([payload])[0].numpy() == pytest.approx(7, abs=1e-4)
    payload = bytearray(encode_payload(np.full((1, 1_000_000, 2), 7, np.uint8), SPEC.bands))
    struct.pack_into("<I", payload, 12, 1_000_001)
    with pytest.raises(tf.errors.InvalidArgumentError, match="too_many_pixels: "):
        decode([bytes(payload)])


def test_a_payload_has_as_many_bytes_as_are_allowed():
    payload = encode_payload(np.zeros((40, 40, 2), np.uint8), SPEC.bands)
    payload += bytes(2000)
    spec = SPEC.model_copy(update={"max_bytes": 2000})
    with pytest.raises(tf.errors.InvalidArgumentError, match="too_many_bytes: "):
        decode_tiles(tf.constant([payload]), spec)


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("shape", [(40, 40), (24, 96), (20, 30)])
def test_fit_is_what_pillow_gives(fit: Fit, shape):
    random = np.random.default_rng(3)
    small = random.normal(1000, 300, (6, 6, 4)).astype(np.float32)
    pixels = np.stack([resized(small[..., band], shape) for band in range(4)], axis=-1)
    valid = resized((random.random((5, 5)) < 0.8).astype(np.float32), shape) > 0.5
    pixels[~valid] = np.nan
    spec = ImageSpec(height_px=32, width_px=48, fit=fit, bands=("B08", "B02"))
    got, got_valid = (
        one.numpy()[0] for one in decode_tiles([encode_payload(pixels, BANDS, valid)], spec)
    )
    weight = fitted(valid.astype(np.float32), fit)
    clear = np.abs(weight - 0.5) > 0.02
    assert np.array_equal(got_valid[clear], weight[clear] > 0.5)
    assert 0.2 < got_valid.mean() < 0.99
    for channel, band in enumerate([3, 0]):
        sums = fitted(np.where(valid, pixels[..., band], 0), fit)
        wanted = np.divide(sums, weight, out=np.zeros_like(sums), where=got_valid)
        np.testing.assert_allclose(got[..., channel], wanted, rtol=2e-3, atol=0.5)


def resized(plane, shape):
    image = Image.fromarray(np.asarray(plane, np.float32), "F")
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR))


def fitted(plane, fit):
    """As the docs say it, by Pillow: to 32 x 48."""
    size, target = np.array(plane.shape), np.array((32, 48))
    ratios = target / size
    if fit == "stretch":
        return resized(plane, (32, 48))
    inner = np.round(size * (ratios.min() if fit == "pad" else ratios.max())).astype(int)
    scaled = resized(plane, tuple(int(side) for side in inner))
    if fit == "pad":
        out, at = np.zeros((32, 48), np.float32), (target - inner) // 2
        out[at[0] : at[0] + inner[0], at[1] : at[1] + inner[1]] = scaled
        return out
    at = (inner - target) // 2
    return scaled[at[0] : at[0] + 32, at[1] : at[1] + 48]


def test_the_models_shape_stays_as_it_is():
    pixels = tile("int32")
    got, _ = decode_tiles([encode_payload(pixels, BANDS)], SPEC)
    assert np.array_equal(got.numpy()[0], pixels[:, :, [3, 0]].astype(np.float32))
