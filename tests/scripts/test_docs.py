"""The pages of the documentation as a site: links, navigation, generated reference."""

from pathlib import Path

import pytest

from scripts.docs.__main__ import write
from scripts.docs.commands import commands_page
from scripts.docs.configuration import configuration_page
from scripts.docs.loads import outside
from scripts.docs.pages import navigation, places, relinked
from scripts.docs.python import markdown, python_page


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository of a few pages."""
    files = {
        "docs/index.md": "# S\n\n## Use\n\n- [Deep](deep/a.md): why\n- [Rules](../SECURITY.md)\n",
        "docs/deep/a.md": "# A\n",
        "docs/reference/index.md": "# R\n",
        "SECURITY.md": "# Rules\n",
        "examples/a.yaml": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[x](../index.md#use)", "[x](../index.md#use)"),
        ("[x](../../SECURITY.md)", "[x](../project/security.md)"),
        ("[x](#use) [y](https://example.com/a.md)", "[x](#use) [y](https://example.com/a.md)"),
        ("[`a.yaml`](../../examples/a.yaml) is", "`a.yaml` is"),
        ("```\n[x](nowhere.md)\n```", "```\n[x](nowhere.md)\n```"),
    ],
)
def test_links_lead_to_pages_of_the_site(small: Path, link: str, expected: str) -> None:
    found = {**places(small), "SECURITY.md": "project/security.md"}
    assert relinked(link, "docs/deep/a.md", found, small) == expected


def test_a_link_that_leads_nowhere_is_refused(small: Path) -> None:
    with pytest.raises(ValueError, match=r"docs/deep/a.md: the link to b.md leads nowhere"):
        relinked("[b](b.md)", "docs/deep/a.md", places(small), small)


def test_the_lists_of_links_of_an_index_are_its_navigation(small: Path) -> None:
    text = (small / "docs" / "index.md").read_text()
    assert navigation(text) == [("Use", [("Deep", "deep/a"), ("Rules", "../SECURITY")])]


def test_every_page_is_in_the_navigation_and_every_link_leads_somewhere(
    repository: Path, tmp_path: Path
) -> None:
    write(repository, tmp_path)
    reached = {"index"}
    for index in tmp_path.rglob("index.md"):
        for block in index.read_text().split("```{toctree}")[1:]:
            for line in block.partition("```")[0].splitlines():
                if line.endswith(">"):
                    target = (index.parent / line.rpartition("<")[2][:-1]).resolve()
                    reached.add(target.relative_to(tmp_path).as_posix())
    pages = {path.relative_to(tmp_path).with_suffix("") for path in tmp_path.rglob("*.md")}
    assert reached == {page.as_posix() for page in pages}


def test_a_load_from_elsewhere_is_found_and_a_link_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="https://a.example"></a><script src="https://b.example/x.js"></script>'
        '<img src="//c.example/x.png"><link rel="stylesheet" href="here.css">'
    )
    (tmp_path / "a.css").write_text(
        "@import 'https://d.example/x.css'; a {src: url(https://e.example)}"
    )
    assert list(outside(tmp_path)) == [
        "a.css: https://d.example/x.css",
        "a.css: https://e.example",
        "a.html: https://b.example/x.js",
        "a.html: //c.example/x.png",
    ]


@pytest.fixture(scope="module")
def configuration() -> str:
    return configuration_page()


@pytest.mark.parametrize(
    "row",
    [
        "| **`push`** | [PushConfig](#pushconfig) |  | ",
        "| `batch_size` | integer ≥ 1 | `32` | Images in a batch over all replicas. |",
        '| `optimizer` | `adamw` or `adam` or `sgd` | `"adamw"` | AdamW, Adam or SGD with',
        '| `kind` | `chips` | `"chips"` | Chooses this part. |',
        "| **`space`** | mapping to ",
        "At `train.stages[]`.",
    ],
)
def test_the_reference_of_the_configuration_has_each_key(configuration: str, row: str) -> None:
    assert f"\n{row}" in configuration


def test_the_reference_of_the_commands_has_each_option() -> None:
    page = commands_page()
    assert "\n## skymill schedule create\n" in page
    assert "\nskymill predict [OPTIONS] " in page
    assert "\n| `-c, --config PATH` |" in page
    assert "\b" not in page


DOC = """Returns a thing.

Args:
    names: what it is
        called.

Raises:
    ValueError: there is none.

>>> thing()
1
"""


def test_a_docstring_becomes_fields_and_blocks() -> None:
    assert [line for line in markdown(DOC) if line.strip()] == [
        "Returns a thing.",
        ":param names: what it is",
        "    called.",
        ":raises ValueError: there is none.",
        "```pycon",
        ">>> thing()",
        "1",
        "```",
    ]


def test_the_reference_of_python_has_signatures_as_they_are_written() -> None:
    page = python_page()
    assert "\n````{py:function} serving.client.connect(address: str, *, model: str='model'" in page
    assert "\n````{py:method} pipelines.kubeflow.Run.state() -> RunState\n" in page
