"""Cost of each step that ingest without image features cannot omit, beside the plain loop.

    python -m benchmarks ingest_steps [--images 24000] [--rounds 5]

A loop without a framework does the first steps, and again with one step more, up to all that an
example needs; the last row is ingest itself. The difference from row to row is the cost of a step
in processor time. The last column states how many times as much the plain loop of
`benchmarks.ingest` takes as all steps so far: nothing in Python that does these steps exceeds it.
"""

import argparse
import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.ingest import CLASSES, OFF, SIDES, make_images, run_side
from benchmarks.sides import machine_load, take_turns

PLAIN = "plain loop"
SORTED, START = "of which sorted listing", "of which start (ten images)"
STEPS = (
    *("listing, opening and reading", "sha256", "writing", "draw of the split", "tf.train.Example"),
    *("checksums of the TFRecord", "structure of the JPEG", "entry of the fingerprint"),
)


def first_steps(count: int, root: Path, target: Path) -> None:
    """Does the first `count` of the steps, all in one loop."""
    from components.ingest.files.encode import example_bytes, write_record
    from components.ingest.listing.records import digest_of
    from components.ingest.photographs.validate import ImageValidator
    from components.ingest.records.outcome import Accepted
    from components.ingest.records.record import Record
    from components.raster.image import ImageSpec
    from components.raster.split import SplitConfig, split_of

    labels = {name: index for index, name in enumerate(sorted(os.listdir(root)))}
    config, validate = SplitConfig(), ImageValidator(ImageSpec(), decode=False)
    image = Accepted("jpeg", 64, 64, 3, None)
    entries = bytearray()
    with open(target / "written", "wb", buffering=1 << 20) as file:
        for label in labels:
            folder = os.path.join(root, label)
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                handle = os.open(path, os.O_RDONLY)
                data = os.read(handle, os.fstat(handle).st_size)
                os.close(handle)
                if count == 1:
                    continue
                sha256 = hashlib.sha256(data).hexdigest()
                if count > 3:
                    split_of(sha256, None, None, config)
                if count > 4:
                    record = Record(f"{label}/{name}", path, label)
                    if count > 6:
                        validate(data)
                    if count > 7:
                        entries += digest_of(record, [sha256])
                    data = example_bytes(record, data, sha256, image, None, labels)
                if count > 5:
                    write_record(file, data)
                elif count > 2:
                    file.write(data)


def sorted_listing(root: Path, target: Path) -> None:
    """Lists the images and serializes the shuffled shards."""
    from components.ingest.config import IngestConfig
    from components.ingest.files.layout import shard_count
    from components.ingest.photographs.config import FoldersSource
    from components.ingest.sources import family_of, list_source

    config = IngestConfig(source=FoldersSource(uri=str(root)))
    family = family_of(config.source)
    listing = list_source(config, family.find())
    with open(target / "listing", "wb") as file:
        file.writelines(family.lines(listing, shard_count(listing.images, None)))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=24_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    images: int = options.images
    climbed = {name: partial(first_steps, place) for place, name in enumerate(STEPS, 1)}
    sides: dict[str, Callable[[Path, Path], None]] = {
        PLAIN: SIDES[PLAIN],
        **climbed,
        OFF: SIDES[OFF],
        SORTED: sorted_listing,
    }
    with tempfile.TemporaryDirectory() as folder, machine_load():
        many, few = Path(folder) / "many", Path(folder) / "few"
        make_images(many, images)
        make_images(few, CLASSES)
        for side in sides.values():
            run_side(side, few)  # imports count for none of them
        large = {name: partial(run_side, side, many) for name, side in sides.items()}
        start = {START: partial(run_side, SIDES[OFF], few)}
        rounds = take_turns(large | start, options.rounds)
    print(f"{images} JPEGs, {options.rounds} rounds; processor time an image in µs")
    before = 0.0
    for name in (*STEPS, OFF):
        cost = 1e6 * rounds.typical(name).cpu / images
        ratio = rounds.ratio(PLAIN, name, "cpu")
        print(f"{name:30} {cost - before:5.1f} {cost:6.1f}   plain loop / so far: {ratio}")
        before = cost
    for name in (SORTED, START, PLAIN):
        print(f"{name:30} {1e6 * rounds.typical(name).cpu / images:5.1f}")
