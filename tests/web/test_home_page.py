"""The page in a real browser: what a person sees, does and hears."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHROMIUM = Path(os.environ.get("HANDFUL_CHROMIUM", "/usr/bin/chromium"))
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM} (set HANDFUL_CHROMIUM)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield browser
        browser.close()


def _serve(token: str):
    command = [sys.executable, str(Path(__file__).parent / "colours.py"), "127.0.0.1", "0", token]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def address():
    process = _serve("")
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


@pytest.fixture
def page(browser, address):
    """A page that fails the test on any error, and on any request to another host."""
    faults: list[str] = []
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.on(
        "request",
        lambda request: (
            request.url.startswith((address, "blob:" + address, "blob:null"))
            or faults.append(request.url)
        ),
    )
    page.goto(address)
    yield page
    context.close()
    assert faults == []


def files(image, **colours):
    return [
        {"name": f"{name}.png", "mimeType": "image/png", "buffer": image(colour)}
        for name, colour in colours.items()
    ]


def test_many_images_are_classified(page, image):
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": b"no image"}
    chosen = [*files(image, tomato="red", leaf="green", fog="gray"), broken]
    page.set_input_files("#files", chosen)
    page.get_by_text("4 images done").wait_for()
    cards = page.locator(".card")
    titles = cards.locator("h3 .name").all_inner_texts()
    assert titles == ["red", "green", "Unknown", "Not classified"]
    kinds = [card.get_attribute("data-kind") for card in cards.all()]
    assert kinds == ["known", "known", "unknown", "fault"]
    assert "Unlike the labelled images" in cards.nth(2).inner_text()
    assert "damaged" in cards.nth(3).inner_text()
    assert cards.first.locator(".bars li").count() == 3
    widths = [bar.bounding_box()["width"] for bar in cards.first.locator(".bar i").all()]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 10 * widths[1]


def test_more_images_than_one_request_takes(page, image):
    page.set_input_files("#files", files(image, **{f"n{i}": (255, i, 0) for i in range(75)}))
    page.get_by_text("75 images done").wait_for()
    assert page.locator('.card[data-kind="known"]').count() == 75


def test_filters_order_and_clear(page, image):
    page.set_input_files("#files", files(image, a="red", b="blue", c="red", d="gray"))
    page.get_by_text("4 images done").wait_for()
    page.get_by_role("button", name="red 2").click()
    page.locator(".card").nth(2).wait_for(state="detached")
    assert page.locator(".card").count() == 2
    page.get_by_role("button", name="All 4").click()
    page.get_by_label("Order").select_option("unsure")
    page.locator('.card:first-child[data-kind="unknown"]').wait_for()
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".card").count() == 0
    assert page.locator("#results").is_hidden()
    page.set_input_files("#files", files(image, again="blue"))
    page.get_by_text("1 image done").wait_for()


def test_drop_and_paste(page, image):
    for kind, target in (("drop", "body"), ("paste", "body")):
        page.evaluate(
            """([kind, target, bytes]) => {
              const data = new DataTransfer();
              data.items.add(new File([new Uint8Array(bytes)], `${kind}.png`, {type: "image/png"}));
              const init = {bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data};
              const event = kind === "drop" ? new DragEvent(kind, init) : new ClipboardEvent(kind, init);
              document.querySelector(target).dispatchEvent(event);
            }""",
            [kind, target, list(image("blue"))],
        )
    page.get_by_text("2 images done").wait_for()
    assert page.locator(".file").all_inner_texts() == ["drop.png", "paste.png"]


def test_the_keyboard_reaches_everything(page, image):
    page.set_input_files("#files", files(image, a="red", b="blue"))
    page.get_by_text("2 images done").wait_for()
    page.get_by_role("button", name="Look at a.png").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert "red" in dialog.get_by_role("heading").inner_text()
    assert dialog.locator(".bars li").count() == 3
    page.keyboard.press("ArrowRight")
    assert "blue" in dialog.get_by_role("heading").inner_text()
    page.keyboard.press("ArrowRight")  # the last one: nothing happens
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    assert page.evaluate("document.activeElement.ariaLabel") == "Look at b.png"
    assert page.locator("#status").get_attribute("aria-live") == "polite"
    reached = set()
    page.locator("body").evaluate("document.activeElement.blur()")
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"theme", "choose", "order", "save", "clear"} <= reached
    assert "files" not in reached


def test_the_table_is_safe_for_spreadsheets(page, image):
    chosen = files(image, **{"=1+1": "red", "a,b": "blue", 'q"q': "gray"})
    page.set_input_files("#files", chosen)
    page.get_by_text("3 images done").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows] == ["'=1+1.png", "a,b.png", 'q"q.png']
    assert [row["is_known"] for row in rows] == ["true", "true", "false"]
    assert float(rows[0]["p:red"]) == pytest.approx(float(rows[0]["confidence"]))


def test_colours_follow_the_system_and_the_button(page):
    def background():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.emulate_media(color_scheme="light")
    light = background()
    page.emulate_media(color_scheme="dark")
    dark = background()
    assert light != dark
    page.get_by_role("button", name="Dark colours").click()
    assert background() == light
    page.reload()
    assert background() == light


def test_nothing_is_wider_than_a_telephone(page, image):
    page.set_viewport_size({"width": 360, "height": 740})
    page.set_input_files("#files", files(image, **{"a" * 120: "red", "b": "gray"}))
    page.get_by_text("2 images done").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_page_of_the_interface(page, address):
    page.goto(f"{address}docs")
    page.get_by_role("heading", name="colours.handful").wait_for()
    text = page.locator("#document").inner_text()
    for words in ("/predict", "/metrics", f"{address}predict", "one of: red, green, blue", "503"):
        assert words in text


def test_the_token_is_asked_for_once(browser, image):
    process = _serve("a-token")
    try:
        address = process.stdout.readline().strip().partition("?")[0]
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.get_by_label("Token").fill("a-token")
        page.get_by_role("button", name="Open").click()
        page.get_by_role("heading", name="What is in the picture?").wait_for()
        assert page.url == address
        page.set_input_files("#files", files(image, a="red"))
        page.get_by_text("1 image done").wait_for()
        assert page.locator(".card h3 .name").inner_text() == "red"
        context.close()
    finally:
        process.kill()
        process.communicate()
