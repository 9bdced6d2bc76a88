"""Records leave TFRecord files as they were written, whether or not those are compressed."""

from pathlib import Path

import pytest
import tensorflow as tf

from components.node.records import record_batches, records

FIRST, SECOND = [b"a", b"", bytes(5_000)], [b"b", b"c"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """A plain file and a compressed one."""
    paths = [str(tmp_path / "data-0.tfrecord"), str(tmp_path / "data-1.tfrecord.gz")]
    for path, content, kind in zip(paths, (FIRST, SECOND), ("", "GZIP"), strict=True):
        with tf.io.TFRecordWriter(path, kind) as writer:
            for record in content:
                writer.write(record)
    return paths


def test_files_are_read_in_their_order(files: list[str]) -> None:
    assert list(records(*files)) == FIRST + SECOND
    assert list(records()) == []


def test_batches_go_on_from_one_file_to_the_next(files: list[str]) -> None:
    assert list(record_batches(*files, size=2)) == [[b"a", b""], [bytes(5_000), b"b"], [b"c"]]


def test_a_damaged_file_is_an_error_after_its_good_records(
    tmp_path: Path, files: list[str]
) -> None:
    content = bytearray(Path(files[0]).read_bytes())
    content[-5] ^= 1  # the last byte of the last record, before its checksum
    Path(files[0]).write_bytes(content)

    read = records(files[0])

    assert [next(read), next(read)] == [b"a", b""]
    with pytest.raises(tf.errors.DataLossError):
        next(read)
