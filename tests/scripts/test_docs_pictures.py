"""The pictures of the documentation: their sources; the committed ones are current."""

from pathlib import Path
from xml.etree import ElementTree

from scripts.docs.architecture import folder_imports, package, picture
from scripts.docs.layered import between, reduced, rows

SVG = "{http://www.w3.org/2000/svg}"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_rooms_are_folders_below_a_package_and_its_own_modules(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "components/raster/example.py": "",
            "components/push/component.py": "from serving.store.versions import push",
            "serving/store/versions.py": "def push(): from components.raster import example",
            "trainer/run.py": "import trainer.deep.data.files",
            "trainer/deep/data/files.py": "",
        },
    )
    found = folder_imports(tmp_path)
    assert found == {
        "components.raster/": set(),
        "components.push": {"serving.store"},
        "serving.store": {"components.raster/"},
        "trainer/": {"trainer.deep"},
        "trainer.deep": set(),
    }
    assert between(found, package) == {
        "components.raster": set(),
        "components": {"serving"},
        "serving": {"components.raster"},
        "trainer": set(),
    }


def test_arrows_that_follow_from_others_are_left_out() -> None:
    graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": set[str](), "d": set[str]()}
    assert reduced(graph) == {"a": {"b", "d"}, "b": {"c"}, "c": set(), "d": set()}
    assert rows(graph) == [["a"], ["b"], ["c", "d"]]


def test_the_committed_picture_is_drawn_from_the_imports_of_today(repository: Path) -> None:
    path = repository / "docs" / "architecture.svg"
    assert path.read_text() == picture(repository), "run: make pictures"
    boxes = [it.get("class") for it in ElementTree.parse(path).iter(f"{SVG}rect")]
    assert boxes.count("group") == 5


def test_the_committed_picture_is_drawn_from_the_pipeline_of_today(repository: Path) -> None:
    from scripts.docs import pipeline

    path = repository / "docs" / "pipeline.svg"
    assert path.read_text() == pipeline.picture(), "run: make pictures"
    boxes = [it.get("class") for it in ElementTree.parse(path).iter(f"{SVG}rect")]
    assert boxes.count("marked") == 4
