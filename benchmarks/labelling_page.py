"""How fast the labelling page is on a large folder, and how few keys it takes.

A real Chromium opens the page that ``handful label`` serves. First on 20,000 small
JPEG files: from a key to the next image painted, the server's answer to each label
while models are trained beside it, and from Enter to the next page of 48 painted.
The same labels without a browser show what of an answer's time is the server's.
The vectors of these images are made up, since no network is measured here. Then a
script labels five samples of clothing by keys alone, as a person who knows it would:
100 images as they come, then 100 and more on pages. Every key counts, arrows too.

    HANDFUL_DATA=... python benchmarks/labelling_page.py

Claim: key to paint ≤ 50 ms in the median and ≤ 100 ms at the 95th percentile; the
answer ≤ 20 ms at the 95th percentile; a page ≤ 200 ms; at most 0.5 keys an image on
pages. Browser, server and training share the machine.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from active_curves import interval
from PIL import Image
from record import write

from handful.backbones import load_backbone
from handful.embeddings import VectorStore
from handful.project import Project

N_IMAGES, N_CLASSES, N_KEYS, N_PAGES = 20_000, 10, 200, 12
N_CLOTHING, BY_ONE, ON_PAGES, N_SAMPLES = 1000, 100, 100, 5
CHROMIUM = os.environ.get("HANDFUL_CHROMIUM", "/usr/bin/chromium")
ARGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

MEASURE = """() => {
  window.paints = [];
  performance.setResourceTimingBufferSize(10000);
  performance.clearResourceTimings();
  const channel = new MessageChannel();
  let begun = 0;
  channel.port1.onmessage = () => {
    const pictures = [...document.querySelectorAll("#view img")];
    const there = pictures.every((picture) => picture.complete && picture.naturalWidth > 0);
    window.paints.push({ms: performance.now() - begun, n: pictures.length, there});
  };
  addEventListener("keydown", (event) => {
    begun = event.timeStamp;
    requestAnimationFrame(() => channel.port2.postMessage(0));
  }, true);
}"""
ANSWERS = """() => performance.getEntriesByType("resource")
  .filter((entry) => entry.name.endsWith("/answers")).map((entry) => ({
    all: entry.duration, before: entry.requestStart - entry.startTime,
    server: entry.responseStart - entry.requestStart, after: entry.responseEnd - entry.responseStart,
  }))"""
SCREEN = ".tile, figcaption.file"


def made_folder(folder: Path) -> None:
    """Write the images and a vector of each, near the centre of its class."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    bases = [rng.integers(0, 256, (12, 16, 3), dtype=np.uint8) for _ in range(N_CLASSES)]
    for number in range(N_IMAGES):
        noise = rng.integers(-25, 26, (12, 16, 3))
        pixels = np.clip(bases[number % N_CLASSES] + noise, 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels).resize((128, 96), Image.Resampling.BILINEAR)
        image.save(folder / f"{number % N_CLASSES}-{number:05}.jpg", quality=80)
    spec = load_backbone("efficientnet_lite0").spec
    centres = rng.random((N_CLASSES, spec.dim), np.float32)
    with Project.open(folder) as project:
        project.scan(quiet=True)
        store = VectorStore(project.folder / "embeddings", spec.fingerprint, spec.dim)
        images = project.images()
        for start in range(0, len(images), 500):
            part = images[start : start + 500]
            rows = centres[[int(image.path.name[0]) for image in part]]
            noise = rng.random((len(part), spec.dim), np.float32)
            store.add([image.hash for image in part], rows + 2 * noise)


@contextmanager
def served(folder: Path, *options: str) -> Iterator[str]:
    """Serve the page of a folder and yield its address."""
    program = [sys.executable, "-c", "from handful.cli import main; main()"]
    command = [*program, "label", str(folder), "--no-browser", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http\S+", process.stdout.readline())
        assert found is not None
        yield found.group()
    finally:
        process.kill()
        process.communicate()


def spread(values: list[float]) -> dict[str, float]:
    """Return median and 95th percentile, in ms."""
    low, high = np.percentile(values, [50, 95])
    return {"median": round(float(low), 1), "p95": round(float(high), 1), "n": len(values)}


def state(page: Any) -> dict[str, Any]:
    """Return what the server says."""
    found: dict[str, Any] = page.evaluate("fetch('state').then((r) => r.json())")
    return found


def wait(condition: Any, seconds: float = 600) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


def on_screen(page: Any) -> str:
    """Return the file of the image, or of the first tile, "" where nothing is shown."""
    name: str = page.evaluate(
        "(document.querySelector('figcaption.file')?.textContent"
        " ?? document.querySelector('.tile')?.ariaLabel.split(':')[0]) || ''"
    )
    return name


def opened(browser: Any, address: str, width: int, height: int) -> Any:
    """Return the page once everything is embedded and the first image is there."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(600_000)
    page.goto(address)
    page.locator(".shot-large img").wait_for()
    wait(lambda: state(page)["stage"] == "done")
    return page


def switch(page: Any) -> None:
    """Go to the other mode and wait for its first screen, which may be a single image in both."""
    page.keyboard.press("g")
    page.locator(SCREEN).first.wait_for()


def speed(browser: Any, folder: Path) -> dict[str, Any]:
    """Measure the large folder."""
    classes = ",".join(map(str, range(N_CLASSES)))
    with served(folder, "--classes", classes) as address:
        page = opened(browser, address, 1600, 1100)
        for _ in range(2):  # to the grid and back: one by one for good
            switch(page)
        page.evaluate(MEASURE)
        for _ in range(N_KEYS):
            name = on_screen(page)
            page.keyboard.press(str((int(name[0]) + 1) % 10))
            wait(lambda: on_screen(page) not in ("", name))
            page.wait_for_timeout(120)  # a fast person: about five labels a second
        wait(lambda: page.locator("#saved").inner_text() == "Saved")
        singles = [p for p in page.evaluate("paints") if p["n"] == 1]
        answers = page.evaluate(ANSWERS)
        grid = pages(page)
        return {
            "key_to_paint_ms": spread([p["ms"] for p in singles]),
            "not_there_in_time": sum(not p["there"] for p in singles),
            "answer_in_chromium_ms": {
                part: spread([answer[part] for answer in answers]) for part in answers[0]
            },
            "page_of_48_ms": spread([p["ms"] for p in grid]),
            "page_not_there_in_time": sum(not p["there"] for p in grid),
            "models_trained": state(page)["model"],
        }


def answers_alone(folder: Path) -> dict[str, Any]:
    """Label without a browser, which would take its share of the processor, and time the server."""
    classes = ",".join(map(str, range(N_CLASSES)))
    with served(folder, "--classes", classes) as address:
        place = urlsplit(address)
        client = http.client.HTTPConnection(place.netloc)

        def call(way: str, said: dict[str, Any] | None = None) -> dict[str, Any]:
            body = None if said is None else json.dumps(said)
            client.request("GET" if said is None else "POST", place.path + way, body=body)
            response = client.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
            if response.status != 200:
                raise RuntimeError(str(answer))
            return answer

        wait(lambda: call("state")["stage"] == "done")
        asked = {"tab": "alone", "mode": "single", "n": 1, "is_new": False}
        times = []
        for number in range(N_KEYS):
            (screen,) = call("next", asked)["screens"]
            (item,) = screen["items"]
            answer = {
                "image": item["image"], "label": item["name"][0], "blind": item["blind"],
                "kind": "audit" if screen["why"] == "audit" else "human",
            }  # fmt: skip
            begun = time.perf_counter()
            call("answers", {"messages": [{"id": f"alone-{number}", "answers": [answer]}]})
            times.append(1000 * (time.perf_counter() - begun))
            time.sleep(0.15)
        return {**spread(times), "models_trained": call("state")["model"]}


def pages(page: Any) -> list[dict[str, Any]]:
    """Accept pages of 48 and return their paints."""
    switch(page)
    found: list[dict[str, Any]] = []
    for _ in range(10 * N_PAGES):
        page.wait_for_timeout(1500)  # a look at the page
        page.evaluate("paints.length = 0")
        page.keyboard.press("Enter" if page.locator(".tile").count() else "1")
        page.wait_for_timeout(500)
        found += [p for p in page.evaluate("paints") if p["n"] == 48]
        if len(found) >= N_PAGES:
            return found
    raise TimeoutError("too few pages of 48: no class is sure enough")


class Person:
    """Somebody who knows the class of every file, and who presses keys."""

    def __init__(self, page: Any, truth: dict[str, str]) -> None:
        self.page, self.truth, self.keys = page, truth, 0

    def press(self, key: str) -> None:
        """Press one key."""
        self.keys += 1
        self.page.keyboard.press(key)

    def digit(self, name: str) -> str:
        """Return the key of a class."""
        order = [name for name, _ in state(self.page)["classes"]]
        return str((order.index(name) + 1) % 10)

    def answer(self) -> int:
        """Answer one screen and return how many images that labelled."""
        if self.page.locator("figcaption.file").count():
            return self._single()
        return self._grid()

    def _single(self) -> int:
        name = self.page.locator("figcaption.file").inner_text()
        suggested = self.page.locator(".choice[aria-current]")
        proposed = suggested.get_attribute("data-name") if suggested.count() else None
        self.press("Enter" if proposed == self.truth[name] else self.digit(self.truth[name]))
        self._until_gone(name)
        return 1

    def _grid(self) -> int:
        tiles = self.page.locator(".tile").evaluate_all(
            "tiles => tiles.map((t) => [t.ariaLabel.split(':')[0], t.offsetTop, t.offsetLeft])"
        )
        title = self.page.locator("#ask .name")
        if not title.count():
            self.press(self.digit(self.truth[tiles[0][0]]))
        proposed = title.inner_text()
        columns = sum(top == tiles[0][1] for _, top, _ in tiles)
        at = len(tiles) - 1
        for place in reversed(range(len(tiles))):
            if self.truth[tiles[place][0]] != proposed:
                self._move(at, place, columns, len(tiles))
                at = place
                self.press(self.digit(self.truth[tiles[place][0]]))
        self.press("Enter")
        self._until_gone(tiles[0][0])
        return len(tiles)

    def _move(self, at: int, to: int, columns: int, n: int) -> None:
        """Press arrows from one tile to another, by rows and columns."""
        while to // columns < at // columns:
            self.press("ArrowUp")
            at -= columns
        for _ in range(abs(to - at)):
            self.press("ArrowRight" if to > at else "ArrowLeft")

    def _until_gone(self, name: str) -> None:
        wait(lambda: on_screen(self.page) not in ("", name))


def annotator(browser: Any, folder: Path, seed: int) -> dict[str, Any]:
    """Label clothing by keys alone."""
    files = sorted((Path(os.environ["HANDFUL_DATA"]) / "clothing" / "train").rglob("*.jpg"))
    folder.mkdir()
    truth = {}
    for number, file in enumerate(random.Random(seed).sample(files, N_CLOTHING)):
        shutil.copy(file, folder / f"{number:04}.jpg")
        truth[f"{number:04}.jpg"] = file.parent.name
    with served(folder, "--classes", ",".join(sorted(set(truth.values())))) as address:
        page = opened(browser, address, 1280, 800)
        person, labelled = Person(page, truth), 0
        while labelled < BY_ONE:
            labelled += person.answer()
            page.wait_for_timeout(300)
        first = {"labels": labelled, "keys": person.keys}
        wait(lambda: state(page)["model_labels"] >= 0.8 * labelled)
        if page.locator("figcaption.file").count():
            switch(page)
        person.keys, on_pages = 0, 0
        while on_pages < ON_PAGES:
            on_pages += person.answer()
            page.wait_for_timeout(300)
        wait(lambda: page.locator("#saved").inner_text() == "Saved")
        wait(lambda: state(page)["labelled"] >= labelled + on_pages)
        accuracy = state(page)["progress"]["accuracy"]
    with Project.open(folder) as project:
        wrong = sum(image.label not in (None, truth[image.name]) for image in project.images())
    return {
        "before": first,
        "on_pages": {"labels": on_pages, "keys": person.keys},
        "keys_an_image_on_pages": round(person.keys / on_pages, 3),
        "wrong_labels": wrong,
        "accuracy": accuracy,
    }


def annotators(browser: Any, folder: Path) -> dict[str, Any]:
    """Return what several samples of clothing took, and the mean of the keys an image."""
    found = [annotator(browser, folder / f"clothing-{seed}", seed) for seed in range(N_SAMPLES)]
    keys = np.array([one["keys_an_image_on_pages"] for one in found])
    return {"keys_an_image_on_pages": interval(keys), "samples": found}


def main() -> None:
    """Run both and write the figures."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        large = Path(temporary) / "large"
        made_folder(large)
        again = shutil.copytree(large, Path(temporary) / "again")
        figures = {"images": N_IMAGES, **speed(browser, large)}
        figures["answer_without_browser_ms"] = answers_alone(again)
        figures["annotators"] = annotators(browser, Path(temporary))
        browser.close()
    figures["load_average"] = [round(load, 1) for load in os.getloadavg()]
    claim = "key to paint ≤ 50 ms median, ≤ 100 ms p95; answer ≤ 20 ms p95; page ≤ 200 ms; ≤ 0.5 keys an image on pages"
    path = write("labelling_page", figures, claim=claim)
    print(json.dumps(figures, indent=1), path)


if __name__ == "__main__":
    main()
