"""Compression of a raster's blocks."""

import zlib

import numpy as np
import pytest
from isal import isal_zlib

from components.mapping.blocks import LEADER_BYTES, LEVEL, TRAILER_BYTES, BlockCoding


@pytest.mark.parametrize("resampling", ["nearest", "mean"])
def test_a_block_has_the_same_bytes_wherever_memory_lies(monkeypatch, resampling):
    """ISA-L by itself has other bytes for about one address in three thousand."""
    monkeypatch.setattr("components.mapping.blocks.BLOCK_PX", 64)
    pixels = np.random.default_rng(0).integers(0, 3, (1, 64, 64)).astype(np.uint8)
    streams = [isal_zlib.compressobj(LEVEL) for _ in range(10_000)]  # each at its own address
    monkeypatch.setattr(isal_zlib, "compressobj", lambda level: streams.pop())
    coding = BlockCoding("deflate", 255, resampling)
    found = {coding.encoded(pixels) for _ in range(len(streams))}
    assert len(found) == 1
    [data] = found
    samples = np.frombuffer(zlib.decompress(data[LEADER_BYTES:-TRAILER_BYTES]), np.uint8)
    rows = samples.reshape(64, 64)
    again = np.cumsum(rows, axis=1, dtype=np.uint8) if resampling == "mean" else rows
    np.testing.assert_array_equal(again, pixels[0])
