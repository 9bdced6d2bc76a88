"""Ingest accepts what the served graph accepts, with equal pixels, and refuses the rest by name."""

import random
import subprocess
import sys

import numpy as np
import pytest

from components.ingest.photographs.validate import ImageValidator, Refused
from components.ingest.records.outcome import Accepted
from components.raster.image import JPEG_SCAN_MARKER, ImageSpec, Refusal
from tests.varieties import SPEC, VARIETIES

MUTANTS_A_VARIETY = 12


@pytest.fixture(scope="module")
def validate():
    return ImageValidator(SPEC, decode=True)


@pytest.fixture(scope="module")
def structure():
    """A validator that decodes only where it must."""
    return ImageValidator(SPEC, decode=False)


@pytest.mark.parametrize("name", VARIETIES)
def test_variety(name, validate, structure):
    variety = VARIETIES[name]()
    verdict, reference = validate(variety.data), validate.by_reference(variety.data)
    if isinstance(variety.outcome, Refusal):
        assert isinstance(verdict, Refused)
        assert isinstance(reference, Refused)
        assert verdict.reason == reference.reason == variety.outcome
        assert verdict.detail
        assert structure(variety.data) == verdict
    else:
        assert isinstance(verdict, Accepted)
        assert isinstance(reference, Accepted)
        assert (verdict.height, verdict.width) == variety.outcome.shape[:2]
        assert verdict.channels == reference.channels
        assert verdict.format == name.replace(",", " ").split()[0].lower()
        np.testing.assert_array_equal(verdict.pixels, reference.pixels)
        seen = structure(variety.data)
        assert isinstance(seen, Accepted)
        assert (seen.height, seen.width, seen.channels) == (
            verdict.height,
            verdict.width,
            verdict.channels,
        )


def test_files_that_begin_alike_are_judged_each_by_its_own_bytes(validate, structure):
    data = VARIETIES["JPEG, YCbCr 4:2:0"]().data
    scan, middle = data.index(JPEG_SCAN_MARKER), len(data) * 3 // 4
    too_large = data + bytes(SPEC.max_bytes)
    for judge in (validate, structure):
        assert isinstance(judge(data), Accepted)
        for other in (data[:middle], data[: scan + 2], data[:-2], too_large):
            assert judge(other) == judge.by_reference(other)
            assert isinstance(judge(other), Refused)
            assert isinstance(judge(data), Accepted)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("JPEG, grayscale", 1),
        ("JPEG, YCbCr 4:2:0", 3),
        ("JPEG, CMYK", 4),
        ("JPEG, YCCK", 4),
        ("PNG, 16-bit grayscale", 1),
        ("PNG, grayscale with alpha", 2),
        ("PNG, palette", 3),
        ("PNG, RGB with alpha", 4),
    ],
)
def test_channels_are_the_files_own(name, channels, validate):
    assert validate(VARIETIES[name]().data).channels == channels


def test_damaged_files_are_judged_as_the_served_graph_judges_them(validate):
    """The fast path accepts no mutant that the graph refuses or decodes differently."""
    draw = random.Random(20)
    outcomes = {Accepted: 0, Refused: 0}
    for build in VARIETIES.values():
        data = build().data[:20_000]
        for _ in range(MUTANTS_A_VARIETY if data else 0):
            mutant = _mutated(data, draw)
            validate(data)  # most mutants begin alike
            verdict, reference = validate(mutant), validate.by_reference(mutant)
            assert type(verdict) is type(reference)
            if isinstance(verdict, Accepted) and isinstance(reference, Accepted):
                np.testing.assert_array_equal(verdict.pixels, reference.pixels)
                assert verdict.channels == reference.channels
            outcomes[type(verdict)] += 1
    assert min(outcomes.values()) > 50


def _mutated(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data))
    kind = draw.randrange(4)
    if kind == 0:
        return data[:place] + bytes([draw.randrange(256)]) + data[place + 1 :]
    if kind == 1:
        return data[: max(place, 4)]
    if kind == 2:
        return data[:place] + data[place + draw.randint(1, 20) :]
    return data[:place] + draw.randbytes(draw.randint(1, 8)) + data[place:]


def test_a_plain_jpeg_needs_no_tensorflow():
    code = (
        "import sys; from components.ingest.photographs.validate import ImageValidator;"
        "from tests.varieties import *;"
        "verdict = ImageValidator(SPEC, decode=True)(VARIETIES['JPEG, YCbCr 4:2:0']().data);"
        "assert verdict.pixels is not None; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_bombs_do_not_take_memory():
    """With 1 GiB above what TensorFlow itself takes, images that declare gigabytes are refused."""
    code = """
from components.ingest.photographs.validate import ImageValidator
from components.raster.image import ImageSpec
from tests.varieties import VARIETIES, write_png
import resource
validate = ImageValidator(ImageSpec(), decode=True)
validate.by_reference(VARIETIES["PNG, RGB"]().data)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**30, resource.RLIM_INFINITY))
for name in ("PNG bomb", "JPEG bomb"):
    assert validate(VARIETIES[name]().data).reason == "too_many_pixels", name
below = write_png(bytes(9), 8_000, 8_000, 8, 0)
assert validate(below).reason == "corrupt"
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_bounds_are_the_specs():
    data = VARIETIES["PNG, RGB"]().data
    for bounds in ({"max_pixels": 1000}, {"max_bytes": 1024}):
        narrow = ImageValidator(ImageSpec(**bounds), decode=True)
        verdict = narrow(data)
        assert isinstance(verdict, Refused)
        assert verdict == narrow.by_reference(data)
        assert verdict.reason.value == f"too_many_{next(iter(bounds)).removeprefix('max_')}"


@pytest.mark.slow
def test_real_bombs_and_fuzz_findings_do_not_take_memory(shared_data):
    code = """
import resource, sys
from pathlib import Path
from components.ingest.photographs.validate import ImageValidator, Refused
from components.raster.image import ImageSpec
from tests.varieties import VARIETIES
validate = ImageValidator(ImageSpec(), decode=True)
validate.by_reference(VARIETIES["PNG, RGB"]().data)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**29, resource.RLIM_INFINITY))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        verdict = validate(path.read_bytes())
        if "bomb" in path.name or "oom" in path.name or "crash" in path.name:
            assert isinstance(verdict, Refused), path
"""
    root = str(shared_data("odd_images"))
    done = subprocess.run(
        [sys.executable, "-c", code, root], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
