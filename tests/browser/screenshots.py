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

from PIL import Image, ImageDraw
from playwright.sync_api import Page, sync_playwright

from tests.browser.answers import file

DOCS = Path(__file__).parents[2] / "docs"
SKIN, SHADE, HAIR, CLOTH, FOLD = (
    (198, 134, 92),
    (168, 114, 78),
    (90, 90, 90),
    (120, 170, 215),
    (95, 145, 195),
)
WIDTH = 1000  # CSS pixels
FINE = 4  # pixels that are drawn for one that is kept


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
        page.get_by_label("Choose pictures").set_input_files(file(draw_people(), "entrance.png", "PNG"))
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
        path.write_text(slim(drawn.read_text()))


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
    left = 49
    for kind, side in (("mask", 95), ("no_mask", 120), ("mask", 108), ("incorrect", 72)):
        image.paste(draw_person(kind, side, side * 5 // 4), (left, 300 - side * 5 // 4))
        left += side + 34
    return image.quantize(64).convert("RGB")  # fewer bytes


def draw_person(kind: str, width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width * FINE, height * FINE), (120, 118, 110))
    pen = ImageDraw.Draw(image)
    wide, tall = image.size

    def at(*shares: float) -> tuple[float, ...]:
        return tuple(share * (tall if i % 2 else wide) for i, share in enumerate(shares))

    pen.ellipse(at(0.05, 0.86, 0.95, 1.4), (70, 92, 120))
    pen.rounded_rectangle(at(0.38, 0.75, 0.62, 0.98), wide // 16, (205, 158, 130))
    pen.ellipse(at(0.2, 0.1, 0.8, 0.9), SKIN)
    pen.pieslice(at(0.17, 0.04, 0.83, 0.68), 180, 360, HAIR)
    for eye in (0.37, 0.63):
        pen.ellipse(at(eye - 0.06, 0.4, eye + 0.06, 0.46), (250, 250, 250))
        pen.ellipse(at(eye - 0.025, 0.402, eye + 0.025, 0.458), (40, 30, 20))
        pen.line(at(eye - 0.08, 0.365, eye + 0.08, 0.36), HAIR, wide // 50)
    if kind != "mask":
        pen.polygon(at(0.5, 0.44, 0.455, 0.585, 0.545, 0.585), SHADE)
        for nostril in (0.455, 0.515):
            pen.ellipse(at(nostril, 0.565, nostril + 0.03, 0.59), (120, 70, 55))
    if kind == "no_mask":
        pen.chord(at(0.4, 0.63, 0.6, 0.74), 0, 180, (170, 60, 60))
    else:
        top = {"mask": 0.5, "incorrect": 0.62}[kind]
        pen.rounded_rectangle(at(0.25, top, 0.75, 0.87), wide // 10, CLOTH)
        for fold in (0.07, 0.14, 0.2):
            pen.line(at(0.29, top + fold, 0.71, top + fold), FOLD, wide // 90)
        for strap in (top + 0.03, 0.8):
            pen.line(at(0.2, 0.52, 0.26, strap), (240, 240, 240), wide // 60)
            pen.line(at(0.74, strap, 0.8, 0.52), (240, 240, 240), wide // 60)
    return image.resize((width, height), Image.Resampling.LANCZOS)


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
