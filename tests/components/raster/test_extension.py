"""Code of the user's own: found by path or entry point, called with what it accepts, identified."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError

from components.raster.errors import ConfigError
from components.raster.extension import Built, Called, PackageMissing, extensions_of
from components.raster.frozen import Frozen

KEY = "train.thing.build"


class Thing(Built):
    """Something that is built."""

    group: ClassVar[str] = "skymill.things"
    offers: ClassVar[tuple[str, ...]] = ("classes",)


class View(Called):
    """Something that is called."""

    group: ClassVar[str] = "skymill.views"
    passes: ClassVar[tuple[str, ...]] = ("batch", "seed")
    offers: ClassVar[tuple[str, ...]] = ("classes",)


class Tree(Frozen):
    """A configuration with both."""

    thing: Thing
    views: tuple[View, ...] = ()


CODE = """
LIMIT = 3

def pair(left, right=2, *, classes=()):
    return left, right, classes

def view(batch, seed, most=1):
    return batch + [seed, most]

class Views:
    def __init__(self, most=1):
        self.most = most

    def __call__(self, batch, seed):
        return batch + [seed, self.most]

class Inert:
    pass

def failing():
    raise KeyError("no such band")
"""


@pytest.fixture
def package(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An importable package with a name of its own, since a process imports a name only once."""
    name = f"own_{abs(hash(request.node.name))}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "code.py").write_text(CODE)
    (folder / "broken.py").write_text("import absent_library")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def thing(reference: str, **arguments: object) -> Thing:
    return Thing.model_validate({"build": reference, "arguments": arguments})


def view(reference: str, **arguments: object) -> View:
    return View.model_validate({"call": reference, "arguments": arguments})


def test_a_call_gets_the_arguments_and_what_it_asks_for_by_name(package: str) -> None:
    made = thing(f"{package}.code:pair", left=1).made(KEY, classes=("a",), bands=("red",))
    assert made == (1, 2, ("a",))
    given = thing(f"{package}.code:pair", left=1, classes=["b"]).made(KEY, classes=("a",))
    assert given == (1, 2, ["b"])


@pytest.mark.parametrize("name", ["view", "Views"])
def test_a_function_is_called_with_the_arguments_and_a_class_made_with_them(
    package: str, name: str
) -> None:
    bound = view(f"{package}.code:{name}", most=5).bound(KEY, classes=())
    assert bound([0], 7) == [0, 7, 5]


@pytest.mark.parametrize("reference", ["package.module", "a:b:c", "a/b.py:c", ":c", "a.b:", ""])
def test_a_reference_has_one_form(reference: str) -> None:
    with pytest.raises(ValidationError, match="write package.module:attribute, or the name of an"):
        thing(reference)


@pytest.mark.parametrize(
    ("reference", "arguments", "message"),
    [
        ("code:pear", {}, r"code has no pear\. Did you mean 'pair'\?"),
        ("cod:pair", {}, r"there is no module own_\d+\.cod\."),
        ("broken:pair", {}, "broken cannot be imported, since it imports absent_library"),
        ("code:LIMIT", {}, "LIMIT is a int, which cannot be called; name a function or a class"),
        (
            "code:pair",
            {"lefd": 1},
            "pair has no argument 'lefd' and needs the argument 'left'; its arguments are left, "
            r"right\.",
        ),
        ("code:failing", {"why": 1}, r"failing has no argument 'why'; it has none\."),
    ],
)
def test_a_fault_is_found_without_a_call(
    package: str, reference: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^train.thing.build: .*{message}"):
        thing(f"{package}.{reference}", **arguments).require(KEY)


def test_a_view_must_take_what_it_is_called_with(package: str) -> None:
    with pytest.raises(ConfigError, match=r"failing takes 0 values .* called with \(batch, seed\)"):
        view(f"{package}.code:failing").require(KEY)
    with pytest.raises(ConfigError, match="has no argument 'seed'; its arguments are most"):
        view(f"{package}.code:view", seed=1).require(KEY)
    with pytest.raises(ConfigError, match=r"cannot be called; give it a __call__\(batch, seed\)"):
        view(f"{package}.code:Inert").bound(KEY)


def test_what_fails_in_a_call_is_named(package: str) -> None:
    with pytest.raises(ConfigError, match="code:failing failed with KeyError: 'no such band'"):
        thing(f"{package}.code:failing").made(KEY)


@pytest.mark.parametrize("reference", ["no_such_package.module:thing", "no_such_name"])
def test_a_missing_package_is_an_error_of_its_own(reference: str) -> None:
    for attempt in (thing(reference).require, thing(reference).find, thing(reference).identity):
        with pytest.raises(PackageMissing, match="(?s)no_such_.* installed here"):
            attempt(KEY)


def test_an_entry_point_has_a_name(package: str, tmp_path: Path) -> None:
    installed = tmp_path / f"{package}-1.2.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (installed / "top_level.txt").write_text(package)
    (installed / "entry_points.txt").write_text(f"[skymill.things]\npair = {package}.code:pair\n")
    assert thing("pair", left=1).made(KEY) == (1, 2, ())
    assert thing("pair").identity(KEY).startswith(f"{package}.code:pair {package} 1.2 ")
    with pytest.raises(PackageMissing, match=r"skymill\.things .* \(there are pair\)"):
        thing("pear").require(KEY)


def test_an_identity_follows_the_code_and_imports_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identity(name: str, **files: str) -> str:
        folder = tmp_path / name / "own_twin"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("raise RuntimeError('imported')")
        for stem, text in files.items():
            (folder / f"{stem}.py").write_text(text)
        with monkeypatch.context() as patched:
            patched.syspath_prepend(tmp_path / name)
            return thing("own_twin.code:build").identity(KEY)

    first = identity("one", code="x = 1", other="y = 1")
    assert first.startswith("own_twin.code:build ")
    assert identity("same", code="x = 1", other="y = 1") == first
    assert identity("two", code="x = 1", other="y = 2") != first


def test_all_extensions_of_a_configuration_are_listed() -> None:
    tree = Tree.model_validate(
        {"thing": {"build": "a.b:c"}, "views": [{"call": "a.b:d"}, {"call": "e"}]}
    )
    found = [(key, each.reference) for key, each in extensions_of(tree)]
    assert found == [("thing.build", "a.b:c"), ("views.0.call", "a.b:d"), ("views.1.call", "e")]
