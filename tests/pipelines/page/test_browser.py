"""The page of a run in a browser: on a phone and a screen, in light and dark, without a script."""

import base64
import html
import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from pipelines.page.evidence import ExampleGroup, ShownExample, Thumbnail
from pipelines.page.render import run_page
from tests.pipelines.page.test_page import content, evidence

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no chromium on this machine")

WIDTHS = (390, 1280)
#: Loads the page in a frame of each width, and writes what a reader would see as JSON.
MEASURE = """<!doctype html><meta name="color-scheme" content="light dark">
{frames}
<pre id="seen"></pre>
<script>
addEventListener("load", () => {{
  const seen = [...document.querySelectorAll("iframe")].map((frame) => {{
    const page = frame.contentDocument, view = frame.contentWindow;
    const images = [...page.images];
    return {{
      width: page.documentElement.scrollWidth,
      paper: view.getComputedStyle(page.body).backgroundColor,
      ink: view.getComputedStyle(page.body).color,
      images: images.length,
      drawn: images.filter((it) => it.complete && it.naturalWidth > 0).length,
      charts: [...page.querySelectorAll("svg")].filter((it) => it.clientWidth > 200).length,
      ran: view.hacked === true,
    }};
  }});
  document.getElementById("seen").textContent = JSON.stringify(seen);
}});
</script>"""


def picture() -> Thumbnail:
    data = io.BytesIO()
    Image.new("RGB", (144, 144), (40, 120, 80)).save(data, "WEBP")
    address = f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"
    return Thumbnail("image", address)


def page_with_everything() -> str:
    attack = "<img src=x onerror=window.hacked=true><script>window.hacked=true</script>"
    wrong = ShownExample(f"{attack}.jpg", (picture(),) * 4, attack, "answer " * 40, 0.9, 0.0)
    groups = (ExampleGroup(attack, "", (wrong,) * 3),)
    facts = {"data": "0123456789abcdef" * 4, "reason": attack}
    return run_page(content(title=attack, facts=facts, evidence=evidence(groups=groups)))


def seen_by_browser(folder: Path, dark: bool) -> list[dict]:
    page = html.escape(page_with_everything())
    frames = "".join(
        f'<iframe width="{width}" height="800" style="border:0" srcdoc="{page}"></iframe>'
        for width in WIDTHS
    )
    (folder / "measure.html").write_text(MEASURE.format(frames=frames), encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000"]
    options += [f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    options += [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    address = (folder / "measure.html").as_uri()
    call = [str(BROWSER), *options, address]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=True)
    text = done.stdout.partition('<pre id="seen">')[2].partition("</pre>")[0]
    seen: list[dict] = json.loads(html.unescape(text))
    return seen


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_reader_sees_all_of_it_at_any_width_and_nothing_runs(tmp_path: Path, dark: bool) -> None:
    for width, seen in zip(WIDTHS, seen_by_browser(tmp_path, dark), strict=True):
        assert seen["width"] <= width, "nothing but tables scrolls sideways"
        assert seen["images"] == seen["drawn"] == 12
        assert seen["charts"] >= 5
        assert not seen["ran"]
        paper, ink = (brightness(seen[name]) for name in ("paper", "ink"))
        assert (paper < ink) is dark
        assert abs(paper - ink) > 150


def brightness(colour: str) -> float:
    """The mean of an `rgb(r, g, b)`."""
    return sum(map(int, colour.partition("(")[2].rstrip(")").split(","))) / 3
