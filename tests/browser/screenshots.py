"""Draw the README's pictures of the page into docs/: `python -m tests.browser.screenshots URL`, of `make run`.

The people are drawn, and judged by the service. The figures of the view of compliance are made up. Needs Chromium and
pdftocairo (Debian's poppler-utils): what the page prints becomes SVG.
"""

import argparse
import math
import os
import re
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.browser.answers import choose, file
from tests.pictures import draw_person

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 1000  # CSS pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of `make run`, with a slash at its end")
    url = parser.parse_args().url
    with sync_playwright() as driver:
        program = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": WIDTH, "height": 700}, color_scheme="light")
        context.add_init_script("sessionStorage.setItem('maskwatch-key', 'local')")
        page = context.new_page()
        page.goto(url)
        choose(page, file(draw_people(), "entrance.png", "PNG"))
        page.wait_for_selector(".words .meta")
        keep(page, DOCS / "page-picture.svg")

        page.route("**/compliance?*", lambda route: route.fulfill(json=figures()))
        page.route("**/drift", lambda route: route.fulfill(json=report()))
        page.get_by_role("button", name="Compliance").click()
        page.get_by_role("combobox", name="Range").select_option("Last 30 days")
        page.wait_for_selector("svg.chart g:nth-of-type(20)")
        keep(page, DOCS / "page-compliance.svg")


def keep(page: Page, path: Path) -> None:
    """Write the page as SVG."""
    page.emulate_media(media="screen")
    page.mouse.move(0, 0)
    page.evaluate(
        """() => {
          const plain = new CSSStyleSheet();  // dashes, shadows and clipping would be most of the file
          plain.replaceSync(".box, .card { border-radius: 0 } .box, nav * { box-shadow: none !important }");
          plain.insertRule(".drop { border-style: solid }");
          plain.insertRule(".card, .frame, .overlay, .track { overflow: visible }");
          document.adoptedStyleSheets = [plain];
        }"""
    )
    height = page.evaluate("() => document.querySelector('main').getBoundingClientRect().bottom")
    with tempfile.TemporaryDirectory() as folder:
        printed, drawn = Path(folder) / "page.pdf", Path(folder) / "page.svg"
        page.pdf(
            path=printed, width=f"{WIDTH}px", height=f"{height}px", print_background=True, page_ranges="1"
        )
        subprocess.run(["pdftocairo", "-svg", printed, drawn], check=True)
        path.write_text(slim(drawn.read_text()), encoding="utf-8")


def slim(svg: str) -> str:
    """Shorten an SVG: coordinates to a tenth of a point, short colours, without defaults and spaces."""

    def colour(found: re.Match[str]) -> str:
        return "#" + "".join(f"{round(float(share) * 2.55):02x}" for share in found[1].split("%,"))

    def short(found: re.Match[str]) -> str:
        rounded = re.sub(r"-?\d+\.\d+", lambda number: f"{round(float(number[0]), 1):g}", found[0])
        return re.sub(r" ?([A-Z]) ?| (?=-)", r"\1", rounded)

    svg = re.sub(r'(?<= [dxy]=)"[^"]*"', short, svg)
    svg = re.sub(r"rgb\(([\d.%,]+)%\)", colour, svg)
    svg = re.sub(r"[a-z-]+:(1|4|butt|miter|nonzero);|(?<= style=\") ?stroke:none;", "", svg)
    svg = re.sub(r"\s*\n\s*|M[-\d.]+ [-\d.]+ ?(?=\")| style=\"\"", "", svg)
    svg = svg.replace("xlink:href", "href").replace("glyph", "g").replace(' overflow="visible"', "")
    svg = svg.replace("<defs>", "<style>symbol{overflow:visible}</style><defs>", 1)
    letter = "(?:<use [^>]*/>)+</g>"
    return re.sub(  # letters of one colour together
        rf'(<g style="[^"]*">){letter}(?:\1{letter})+',
        lambda found: found[1] + "".join(re.findall("<use [^>]*/>", found[0])) + "</g>",
        svg,
    )


def draw_people() -> Image.Image:
    """Four people side by side: two with a mask, one with a bare nose, one without."""
    image = Image.new("RGB", (560, 300), (120, 118, 110))
    left = 40
    fair = {"skin": (240, 200, 175), "hair": (120, 80, 40)}
    for label, side, looks in (
        ("mask", 95, {}),
        ("no_mask", 120, fair),
        ("mask", 108, {}),
        ("incorrect", 72, {}),
    ):
        image.paste(draw_person(label, side, side * 5 // 4, **looks), (left, 300 - side * 5 // 4))
        left += side + 34
    return image.quantize(64).convert("RGB")  # fewer bytes


def figures() -> dict[str, object]:
    """Thirty days of one source."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = []
    for ago in range(30):
        day = today - timedelta(days=ago)
        if day.weekday() == 6:
            continue
        faces = 400 + int(120 * math.sin(ago * 1.7))
        bare = int(faces * 0.1 * (0.7 + 0.4 * math.sin(ago * 2.3)))
        wrong = bare // 3
        counts = {"mask": faces - bare - wrong, "no_mask": bare, "incorrect": wrong, "uncertain": 0}
        rows.append(
            {"time": day.isoformat(), "source": "gate-3", "pictures": faces, "faces": faces, **counts}
        )
    return {"rows": rows, "as_of": datetime.now(UTC).isoformat()}


def report() -> dict[str, object]:
    """A drift report without changes, with some corrected answers."""
    now = datetime.now(UTC)
    f1 = {
        label: {"value": value} for label, value in {"mask": 0.98, "no_mask": 0.96, "incorrect": 0.82}.items()
    }
    audit = {"n": 412, "of": 430, "accuracy": {"value": 0.966, "low": 0.944, "high": 0.980}, "f1": f1}
    return {
        "window": {"from": (now - timedelta(days=1)).isoformat(), "to": now.isoformat()},
        "verdict": "ok",
        "findings": [],
        "counts": {"records": 5120},
        "accuracy": {"audit": audit, "chosen": audit, "min_accuracy": 0.9},
    }


if __name__ == "__main__":
    main()
