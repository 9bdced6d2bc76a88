"""Code and metrics in provenance."""

import subprocess
from pathlib import Path

import pytest

from components.push.provenance import code_version, framework_versions, overall_metrics
from components.raster.errors import DataError


def test_the_commit_is_that_of_the_checkout(repository: Path) -> None:
    if not (repository / ".git").exists():
        assert code_version().commit is None
        return
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True
    )
    commit = code_version().commit
    assert commit is not None
    assert head.stdout.strip() in commit


def test_frameworks_are_named_with_their_versions() -> None:
    versions = framework_versions()
    assert versions["tensorflow"]
    assert versions["python"]


@pytest.mark.parametrize("text", [b"", b"{}", b'{"slices": []}', b'{"slices": [{"features": {}}]}'])
def test_metrics_without_all_examples_are_refused(text: bytes) -> None:
    with pytest.raises(DataError, match="no metrics over all examples"):
        overall_metrics(text)
