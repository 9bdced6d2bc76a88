"""Push and Baseline on a bucket: the same two nodes, by the store's own protocol."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.gate.baseline import baseline_dir
from serving.store.digest import model_digest
from serving.store.version_store import version_store
from serving.store.versions import StaleBaselineError
from tests.components.push.test_executor import Run, models  # noqa: F401
from tests.stores.s3 import s3_server


class Destination(str):
    """A URI in place of the path in the tests of local folders."""

    @property
    def parent(self) -> str:
        return self.rpartition("/")[0]


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Destination]:
    with s3_server("models") as (url, _):
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        yield Destination("s3://models/prod/landcover")


def test_a_run_is_compared_with_what_the_last_one_pushed(
    tmp_path: Path,
    base: Destination,
    models: list[Path],  # noqa: F811
) -> None:
    first = Run(tmp_path / "first", base)
    assert baseline_dir(first.baseline.uri) is None
    late = Run(tmp_path / "late", base)
    pushed = first.push(models[0])
    assert pushed.get_int_custom_property("pushed_version") == 1
    assert pushed.get_string_custom_property("pushed_destination") == f"{base}/1"
    with pytest.raises(StaleBaselineError, match="no version, but version 1"):
        late.push(models[1])

    second = Run(tmp_path / "second", base)
    served = baseline_dir(second.baseline.uri)
    assert second.baseline.served_version == 1
    assert served is not None
    assert model_digest(Path(served)) == model_digest(models[0] / "Format-Serving")
    assert (Path(served) / "provenance" / "provenance.json").exists()
    again = second.push(models[0])
    assert again.get_int_custom_property("pushed") == 0, "it is the served one"
    assert Run(tmp_path / "third", base).push(models[1]).get_int_custom_property("pushed") == 1
    assert version_store(base).numbers() == (1, 2)
