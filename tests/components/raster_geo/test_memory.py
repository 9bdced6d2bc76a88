"""Memory of reading stays flat as a scene grows tenfold, and tenfold again."""

from pathlib import Path

import pytest

from benchmarks.made_scene import make_scene
from benchmarks.raster_memory import peak_mb


@pytest.mark.slow
def test_memory_does_not_grow_with_the_scene(tmp_path: Path) -> None:
    """1,000, 3,200 and 10,000 pixels square: 4 MB, 41 MB and 400 MB of pixels."""
    peaks = []
    for size in (1_000, 3_200, 10_000):
        path = tmp_path / f"{size}.tif"
        make_scene(path, size, bands=2)
        peaks.append(peak_mb(path, tile_px=256))
        path.unlink()
    # What is decoded at once and GDAL's cache of blocks; the interpreter and its libraries are in.
    assert max(peaks) < 300
    assert peaks[2] < 1.25 * peaks[1]
