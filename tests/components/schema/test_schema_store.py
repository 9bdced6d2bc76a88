"""The schema's home: accepted in one step, never lost, readable and editable by a person."""

from pathlib import Path

import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.raster.errors import ConfigError
from components.raster.stores.local_folder import LocalFolder
from components.schema.schema_store import accept, accepted_digest, read_accepted
from components.schema.wording import describe, diff
from tests.stores.services import service_on_loopback


def schema(classes: str = "Forest Sea", most: float = 255) -> schema_pb2.Schema:
    text = f"""
        feature {{ name: "image/brightness" type: FLOAT presence {{ min_fraction: 1 }}
          shape {{ dim {{ size: 1 }} }}
          float_domain {{ min: 0 max: {most} disallow_nan: true }} }}
        feature {{ name: "label/text" type: BYTES domain: "label/text"
          presence {{ min_fraction: 1 }} shape {{ dim {{ size: 1 }} }} }}
        string_domain {{ name: "label/text" }}
    """
    parsed = text_format.Parse(text, schema_pb2.Schema())
    parsed.string_domain[0].value.extend(classes.split())
    return parsed


def test_nothing_is_accepted_at_first(tmp_path: Path) -> None:
    home = str(tmp_path / "schema.pbtxt")
    assert read_accepted(home) is None
    assert accepted_digest(home) == ""


def test_what_is_accepted_is_read_back_by_us_and_by_tfdv(tmp_path: Path) -> None:
    home = str(tmp_path / "new folder" / "schema.pbtxt")

    assert accept(home, schema()) is None

    assert read_accepted(home) == schema() == tfdv.load_schema_text(home)
    assert [path.name for path in Path(home).parent.iterdir()] == ["schema.pbtxt"]


def test_every_earlier_schema_is_kept_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "schema.pbtxt"
    accept(str(home), schema())
    edited = "# my own words\n" + home.read_text()
    home.write_text(edited)

    first = accept(str(home), schema("Forest Lake Sea"))
    second = accept(str(home), schema("Lake"))

    assert first == str(tmp_path / "schema.0001.pbtxt")
    assert second == str(tmp_path / "schema.0002.pbtxt")
    assert Path(first).read_text() == edited
    assert read_accepted(second) == schema("Forest Lake Sea")
    assert accept(str(home), schema("Lake")) is None, "accepting the same again changes nothing"


def test_the_digest_changes_with_one_byte(tmp_path: Path) -> None:
    home = tmp_path / "schema.pbtxt"
    accept(str(home), schema())
    before = accepted_digest(str(home))
    assert before == accepted_digest(str(home))

    home.write_text(home.read_text().replace("255", "254"))

    assert accepted_digest(str(home)) != before


def test_a_schema_in_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    with service_on_loopback("s3", "land/schema.pbtxt", monkeypatch) as service:
        assert read_accepted(service.uri) is None
        assert accept(service.uri, schema()) is None
        earlier = service.bucket.objects["land/schema.pbtxt"]
        assert accept(service.uri, schema("Lake")) == "s3://models/land/schema.0001.pbtxt"
        assert service.bucket.objects["land/schema.0001.pbtxt"] == earlier
        assert read_accepted(service.uri) == schema("Lake")


def test_of_two_who_accept_at_once_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "schema.pbtxt"
    accept(str(home), schema())
    replace = LocalFolder.replace

    def overtaken(self: LocalFolder, name: str, content: bytes, version: str) -> bool:
        home.write_text("# other words")
        return replace(self, name, content, version)

    monkeypatch.setattr(LocalFolder, "replace", overtaken)
    with pytest.raises(ConfigError, match="changed at the same moment"):
        accept(str(home), schema("Lake"))
    assert home.read_text() == "# other words"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("feature { nome: 'x' }", "1:11"),
        ("feature { name: 'x' domain: 'gone' }", "'gone'"),
        ("", "no features"),
    ],
)
def test_a_damaged_schema_is_refused_and_says_where(tmp_path: Path, text: str, said: str) -> None:
    home = tmp_path / "schema.pbtxt"
    home.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_accepted(str(home))
    assert str(home) in str(caught.value)
    assert said in str(caught.value)


def test_a_schema_in_words() -> None:
    assert describe(schema()) == [
        "image/brightness: number, in every example, one value, 0 to 255, never NaN",
        "label/text: text, in every example, one value, one of Forest, Sea",
    ]


def test_a_difference_in_words() -> None:
    changed = schema("Lake Sea", most=100)
    changed.feature.add(name="slice/region", type=schema_pb2.BYTES)
    dropped = schema()
    del dropped.feature[0]

    assert diff(schema(), schema()) == []
    assert diff(schema(), changed) == [
        "~ image/brightness: 0 to 255, never NaN -> 0 to 100, never NaN",
        "~ label/text: also allows 'Lake'",
        "~ label/text: no longer allows 'Forest'",
        "+ slice/region: text, may be missing, any number of values, any value",
    ]
    assert diff(schema(), dropped) == ["- image/brightness: no longer known"]
    assert len(diff(None, schema())) == 2
