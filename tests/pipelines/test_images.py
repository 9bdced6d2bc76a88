"""Files given to a command, and the paths of their answers."""

from pathlib import Path

from pipelines.cli.images import OutputPaths, image_files


def test_each_file_has_an_output_of_its_own(tmp_path: Path) -> None:
    names = ("a/x.png", "b/x.png", "b/x.jpg", "b/y/x.png")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    given = (tmp_path / "a/x.png", tmp_path / "b/x.png", tmp_path / "b", tmp_path / "a/x.png")
    places = OutputPaths()

    files = [str(path.relative_to(tmp_path)) for path in image_files(given, places)]

    assert files == ["a/x.png", "b/x.png", "b/x.jpg", "b/x.png", "b/y/x.png", "a/x.png"]
    found = {name: str(places[tmp_path / name]) for name in names}
    assert found == {"a/x.png": "x", "b/x.png": "x-2", "b/x.jpg": "x-3", "b/y/x.png": "y/x"}
