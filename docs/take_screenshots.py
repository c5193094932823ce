"""Take the pictures that the documentation shows.

``python docs/take_screenshots.py`` writes handwritten digits into a temporary folder, serves
them with ``handful label``, labels some in a real Chromium and writes ``docs/images/label-*.png``.
``python docs/take_screenshots.py report.html`` writes the head of a report into
``docs/images/report.png`` instead.
It needs the extra ``test`` and a Chromium (``HANDFUL_CHROMIUM``, by default /usr/bin/chromium).
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

IMAGES = Path(__file__).parent / "images"
CHROMIUM = os.environ.get("HANDFUL_CHROMIUM", "/usr/bin/chromium")
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
N_DIGITS, N_LABELS = 500, 130
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
REPORT = {"width": 1200, "height": 1420}
MOST_BYTES = 150_000


def written(folder: Path) -> dict[str, str]:
    """Write the digits, return the class of each file."""
    from sklearn.datasets import load_digits

    source, truth = load_digits(), {}
    folder.mkdir()
    for row in range(N_DIGITS):
        name = f"scan-{row:04}.png"
        pixels = (source.images[row] * (255 / 16)).round().astype(np.uint8)
        Image.fromarray(pixels).resize((160, 160), Image.Resampling.BICUBIC).save(folder / name)
        truth[name] = str(source.target[row])
    return truth


@contextmanager
def served(folder: Path) -> Iterator[list[str]]:
    """Serve the page of two annotators and yield their addresses."""
    run = "from handful.cli import main; main()"
    command = [sys.executable, "-c", run, "label", str(folder), "--no-browser", "--port", "0"]
    command += ["--target", "0.9"]
    for name in ("Ann", "Bob"):
        command += ["--annotator", name]
    process = subprocess.Popen(
        [*command, "-o", str(folder.parent / "digits.handful")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield [re.findall(r"http\S+", process.stdout.readline())[0] for _ in range(2)]
    finally:
        process.kill()
        process.communicate()


def wait(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 600
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)


def shot(page: Any, name: str) -> None:
    """Write a picture of what the window shows, of at most 256 colours."""
    page.wait_for_timeout(400)
    picture = Image.open(io.BytesIO(page.screenshot()))
    path = IMAGES / f"{name}.png"
    colours = picture.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3)
    colours.save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes.")


def state(page: Any) -> dict[str, Any]:
    """Return what the server says."""
    found: dict[str, Any] = page.evaluate("fetch('state').then((r) => r.json())")
    return found


def label(page: Any, truth: dict[str, str], n: int) -> None:
    """Label ``n`` images, one by one."""
    for _ in range(n):
        wait(lambda: bool(page.locator("figcaption.file, .tile").count()))
        if page.locator(".tile").count():
            page.keyboard.press("g")
        name = page.locator("figcaption.file").inner_text()
        order = [label for label, _ in state(page)["classes"]]
        if truth[name] in order:
            page.keyboard.press(str((order.index(truth[name]) + 1) % 10))
        else:
            page.keyboard.press("c")
            page.keyboard.type(truth[name])
            page.keyboard.press("Enter")
        wait(lambda: page.locator("figcaption.file, .tile").first.text_content() != name)  # noqa: B023


def in_every_look(page: Any, name: str) -> None:
    """Take a view in light and dark colours, and on a telephone."""
    shot(page, f"label-{name}-light")
    page.emulate_media(color_scheme="dark")
    shot(page, f"label-{name}-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(NARROW)
    shot(page, f"label-{name}-narrow")
    page.set_viewport_size(WIDE)


def until_suggested(page: Any, truth: dict[str, str]) -> None:
    """Go on to an image with a suggestion."""
    while not page.locator(".choice[aria-current]").count():
        label(page, truth, 1)


def until_a_grid(page: Any, truth: dict[str, str]) -> None:
    """Ask for a grid; a blind audit may come before it."""
    page.keyboard.press("g")
    page.wait_for_timeout(2000)
    while not page.locator(".tile").count():
        label(page, truth, 1)
        page.wait_for_timeout(500)


def dialogs(page: Any) -> None:
    """Take every dialog."""
    for key, name in (("c", "class-box"), ("?", "keys"), ("m", "classes")):
        page.keyboard.press(key)
        if name == "class-box":
            page.keyboard.type("1")
        in_every_look(page, name)
        page.keyboard.press("Escape")


def disagreement(page: Any, other: Any) -> None:
    """Let the second annotator contradict the first, and take the review."""
    images = page.evaluate("fetch('last').then((r) => r.json()).then((l) => l.items[0])")
    wrong = "0" if images["label"] != "0" else "1"
    answer = {"image": images["image"], "kind": "human", "label": wrong}
    said = {"messages": [{"id": "contradiction", "answers": [answer]}]}
    other.evaluate("s => fetch('answers', {method: 'POST', body: JSON.stringify(s)})", said)
    page.keyboard.press("r")
    page.locator(".choice.look").first.wait_for()
    in_every_look(page, "review")
    page.keyboard.press("Escape")


def at_home(route: Any, temporary: str) -> None:
    """Pass the state on, with the folder of a person in place of the temporary one."""
    try:
        response = route.fetch()
    except Exception:  # the server was ended
        route.abort()
        return
    route.fulfill(response=response, body=response.text().replace(temporary, "/home/ann"))


def planned(page: Any) -> None:
    """Have plans ranked and take the dialog."""
    page.keyboard.press("p")
    page.locator("#plans-go").click()
    page.locator(".plans li").first.wait_for(timeout=600_000)
    in_every_look(page, "plans")
    page.keyboard.press("Escape")


def exported(page: Any) -> None:
    """Export a model and take the dialog when it is done."""
    page.keyboard.press("e")
    page.locator("#export-go").click()
    page.get_by_role("link", name="Download").wait_for(timeout=600_000)
    in_every_look(page, "export")
    page.keyboard.press("Escape")


def report(html: Path) -> None:
    """Take the head of a report."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        page = browser.new_page(viewport=REPORT, color_scheme="light")
        page.goto(html.resolve().as_uri())
        shot(page, "report")
        browser.close()


def labelling() -> None:
    """Take all pictures of the labelling page."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary) / "digits"
        truth = written(folder)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        with served(folder) as (first, second):
            page = browser.new_page(viewport=WIDE, color_scheme="light")
            page.set_default_timeout(120_000)
            page.route("**/state", lambda route: at_home(route, temporary))
            page.goto(first)
            page.locator(".shot-large img").wait_for()
            in_every_look(page, "start")
            label(page, truth, N_LABELS)
            wait(lambda: state(page)["stage"] == "done")
            wait(lambda: state(page)["model_labels"] >= 0.8 * N_LABELS)
            until_suggested(page, truth)
            in_every_look(page, "single")
            other = browser.new_page()
            other.goto(second)
            disagreement(page, other)
            dialogs(page)
            planned(page)
            exported(page)
            until_a_grid(page, truth)
            for key in ("x", "ArrowLeft", "ArrowLeft", "1", "ArrowUp"):
                page.keyboard.press(key)
            in_every_look(page, "grid")
            page.keyboard.press("g")
            page.locator("figcaption.file").wait_for()
        page.keyboard.press("1")
        page.get_by_text("Not saved: 1").wait_for()
        in_every_look(page, "not-connected")
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        report(Path(sys.argv[1]))
    else:
        labelling()
