"""The labelling page in a real browser: every key, every view, every mishap."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from handful.jobs import predict
from handful.project import Project

pytestmark = pytest.mark.slow

CHROMIUM = Path(os.environ.get("HANDFUL_CHROMIUM", "/usr/bin/chromium"))
SCREEN = "figcaption.file, .tile"  # one image, or a page of tiles
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]


class Server:
    """The page's server in a process of its own, which can be killed and started again."""

    def __init__(self, folder: Path, *annotators: str, command=None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        pixels = str(Path(__file__).parent / "pixels.py")
        self.folder = folder
        self.command = command or [sys.executable, pixels, str(folder), str(self.port), *annotators]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.addresses = re.findall(r"http\S+", self.process.stdout.readline())
        self.address = self.addresses[0]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def labels(self):
        with Project.open(self.folder) as project:
            return project.labels.current()

    def events(self):
        with Project.open(self.folder) as project:
            return [logged.event for logged in project.labels.events() if logged.counts]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM} (set HANDFUL_CHROMIUM)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def serve(tmp_path, pixels):
    """Start a server on fresh digits: ``serve(60, "Ann")``."""
    servers = []

    def start(n=60, *annotators):
        server = Server(pixels.write_digits(tmp_path / "digits", n), *annotators)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def visit(browser):
    """Open a page that fails the test on any error of its script or request to another host."""
    faults, contexts = [], []

    def open_page(address, *, context=None, **options):
        if context is None:
            context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: request.url.startswith(address) or faults.append(request.url),
        )
        page.goto(address)
        page.locator(".shot-large img").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def shown(page):
    """Return the file name on the screen."""
    return page.locator("figcaption.file").inner_text()


def labelled(page):
    return int(page.locator("#n-labelled").inner_text().replace(",", ""))


def until(page, condition, what="condition", seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: {page.locator('body').inner_text()}"
        page.wait_for_timeout(20)


def saved(page):
    until(page, lambda: page.locator("#saved").inner_text() == "Saved", "saved")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def name_class(page, name):
    press(page, "c")
    page.keyboard.type(name)
    press(page, "Enter")


def ten_classes(page):
    """Name the classes 0 to 9 in the order of the keys, without labelling."""
    page.evaluate(
        """async () => { for (let i = 0; i < 10; i += 1)
             await fetch("classes", {method: "POST", body: JSON.stringify({do: "add", name: String(i)})}); }"""
    )
    page.locator(".choice .name", has_text="9").wait_for()


def digit_key(name, pixels):
    """Return the key of the class of an image: class 0 has key 1, class 9 key 0."""
    return str((int(pixels.truth(name)) + 1) % 10)


def test_one_image_every_key(serve, visit, pixels):
    server = serve()
    page = visit(server.address)
    assert labelled(page) == 0
    assert page.locator(".choice.another").inner_text().endswith("The first class")
    first = shown(page)
    press(page, "1")  # no class yet: nothing happens
    assert shown(page) == first
    name_class(page, "cat")  # c, letters, Enter: a new class, and the image has it
    until(page, lambda: shown(page) != first)
    name_class(page, "dog")
    second = shown(page)
    press(page, "1")
    until(page, lambda: shown(page) != second)
    saved(page)
    counts = Counter(label.label for label in server.labels().values())
    assert counts == {"cat": 2, "dog": 1}
    third = shown(page)
    press(page, "2")
    until(page, lambda: shown(page) != third)
    press(page, "Backspace")
    until(page, lambda: shown(page) == third, "undo shows the image again")
    press(page, "x")
    fourth = shown(page)
    press(page, "n")
    fifth = shown(page)
    press(page, "f")
    assert page.locator(".shot-large[data-flagged]").count() == 1
    press(page, "1")
    sixth = shown(page)
    press(page, "s")  # no record
    seventh = shown(page)
    press(page, "ArrowRight")
    eighth = shown(page)
    assert len({third, fourth, fifth, sixth, seventh, eighth}) == 6
    press(page, "Control+z")
    until(page, lambda: shown(page) == fifth, "Ctrl+Z undoes the last answer, not the skips")
    press(page, "ArrowLeft")
    until(page, lambda: shown(page) == fourth)
    saved(page)
    events = server.events()
    kinds = Counter(event.kind for event in events)
    assert kinds["unsure"] == 1
    assert kinds["none_of_these"] == 0  # undone
    assert labelled(page) == 3
    assert all(event.milliseconds is not None for event in events)


def test_the_suggestion_is_taken_with_enter_and_shift_reaches_twenty(serve, visit, pixels):
    server = serve(120)
    page = visit(server.address)
    ten_classes(page)
    while not page.locator(".choice[aria-current]").count():
        before = shown(page)
        press(page, digit_key(before, pixels))
        until(page, lambda: shown(page) != before)  # noqa: B023
        assert labelled(page) < 60
    offered = page.locator("#ask .name").inner_text()
    name = shown(page)
    press(page, "Enter")
    until(page, lambda: shown(page) != name)
    saved(page)
    event = server.events()[-1]
    assert (event.kind, event.label, event.suggestion) == ("confirmed", offered, offered)
    assert 0 < event.suggestion_probability <= 1
    assert event.model_version.startswith("v")
    name_class(page, "eleven")
    page.locator(".choice", has_text="eleven").wait_for()
    press(page, "Shift+Digit1")
    saved(page)
    assert server.events()[-1].label == "eleven"


def test_letters_filter_only_inside_the_box(serve, visit):
    page = visit(serve().address)
    for name in ("cat", "cattle", "dog"):
        name_class(page, name)
    until(page, lambda: labelled(page) == 3)
    press(page, "d", "o", "a", "t")  # outside the box letters without a meaning do nothing
    saved(page)
    assert labelled(page) == 3
    press(page, "c")
    options = page.locator("#box-list [role=option]")
    until(page, lambda: options.count() == 3)
    page.keyboard.type("cat")
    assert [text.split("\n")[0] for text in options.all_inner_texts()] == ["cat", "cattle"]
    press(page, "x")  # a letter in here
    assert options.all_inner_texts()[0].startswith("New class “catx”")
    press(page, "Backspace", "ArrowDown", "Enter")
    saved(page)
    until(page, lambda: labelled(page) == 4)
    press(page, "c", "Escape")
    assert page.locator("#box[open]").count() == 0
    assert labelled(page) == 4


def test_class_names_are_text_never_markup(serve, visit):
    server = serve()
    page = visit(server.address)
    names = ["<img src=x onerror=alert(1)>", "🐈‍⬛ chat noir", "a" * 500]
    for name in names:
        name_class(page, name)
    saved(page)
    until(page, lambda: labelled(page) == 3)
    assert page.locator("img[src=x]").count() == 0
    assert {event.label for event in server.events()} == set(names)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    press(page, "c")
    page.keyboard.insert_text("b" * 600)
    assert len(page.locator("#box-text").input_value()) == 500
    press(page, "Escape", "c", "Enter")  # the first class, not an empty one
    saved(page)
    until(page, lambda: labelled(page) == 4)
    assert "" not in {event.label for event in server.events()}


def label_some(page, pixels, n):
    """Label images of the single view rightly, by keys."""
    for _ in range(n):
        if page.locator(".tiles").count():
            press(page, "g")
            page.locator(".shot-large img").wait_for()
        before = shown(page)
        press(page, digit_key(before, pixels))
        until(page, lambda: not page.locator("figcaption.file").count() or shown(page) != before)  # noqa: B023


def test_the_grid_every_key(serve, visit, pixels):
    server = serve(200)
    page = visit(server.address)
    ten_classes(page)
    label_some(page, pixels, 45)
    saved(page)
    if page.locator(".tile").count():  # offered by itself
        press(page, "g")
        page.locator(".shot-large img").wait_for()
    press(page, "Tab")  # to the grid
    page.locator(SCREEN).first.wait_for()
    while not page.locator(".tile").count():  # a blind audit comes first
        label_some(page, pixels, 1)
        page.locator(SCREEN).first.wait_for()
    saved(page)
    before = labelled(page)
    title = page.locator("#ask .name").inner_text()
    n = page.locator(".tile").count()
    assert n >= 12
    press(page, "Space")  # the last tile, out
    press(page, "ArrowLeft", "x", "ArrowLeft", "n", "ArrowLeft", "f", "ArrowUp", "ArrowDown")
    other = "9" if title != "9" else "8"
    press(page, "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft")
    press(page, str((int(other) + 1) % 10))
    kinds = [tile.get_attribute("data-kind") for tile in page.locator(".tile").all()]
    assert kinds[-1] == "out"
    assert kinds[-2] == "unsure"
    assert kinds[-3] == "none_of_these"
    assert kinds.count("label") == 1
    assert kinds.count("accepted") == n - 4
    assert page.locator(".tile[data-flagged]").count() == 1
    press(page, "Enter")
    saved(page)
    until(page, lambda: labelled(page) == before + n - 3)
    with Project.open(server.folder) as project:
        logged = [entry for entry in project.labels.events() if entry.counts]
    page_events = [e.event for e in logged if e.step == logged[-1].step]
    assert len(page_events) == n - 1
    kinds = Counter(event.kind for event in page_events)
    assert kinds["unsure"] == kinds["none_of_these"] == 1
    assert sum(event.flagged for event in page_events) == 1
    assert {event.label for event in page_events if event.label} == {title, other}
    press(page, "Backspace")  # the whole page, as one step, marks and all
    until(page, lambda: labelled(page) == before)
    again = [tile.get_attribute("data-kind") for tile in page.locator(".tile").all()]
    assert again.count("label") == 1
    press(page, "g")
    page.locator(".shot-large img").wait_for()


def test_a_page_to_be_named(serve, visit):
    server = serve(100)
    page = visit(server.address)
    name_class(page, "first")
    press(page, "/")  # images like this one
    page.locator(".tile").first.wait_for()
    assert page.locator("#ask").inner_text() == "What are these?"
    press(page, "Enter")
    assert "Name the page first" in page.locator("#note").inner_text()
    name_class(page, "second")
    until(page, lambda: page.locator("#ask").inner_text() == "All second?")
    n = page.locator(".tile").count()
    press(page, "Enter")
    until(page, lambda: labelled(page) == n + 1)
    saved(page)
    assert Counter(e.label for e in server.events()) == {"first": 1, "second": n}


def test_undo_reaches_beyond_a_restart(serve, visit, pixels):
    server = serve()
    page = visit(server.address)
    ten_classes(page)
    names = []
    for _ in range(3):
        names.append(shown(page))
        before = names[-1]
        press(page, digit_key(before, pixels))
        until(page, lambda: shown(page) != before)  # noqa: B023
    saved(page)
    server.kill()
    server.start()
    page = visit(server.address)
    until(page, lambda: labelled(page) == 3)
    for left, name in zip((2, 1, 0), reversed(names), strict=True):
        press(page, "Backspace")
        until(page, lambda: labelled(page) == left and shown(page) == name)  # noqa: B023
    press(page, "Backspace")
    page.get_by_text("There is nothing to undo.").first.wait_for()


def test_the_tab_outlives_the_server(serve, visit, pixels):
    server = serve()
    page = visit(server.address)
    ten_classes(page)
    label_some(page, pixels, 2)
    saved(page)
    server.kill()
    for _ in range(3):  # these are in memory already
        before = shown(page)
        press(page, digit_key(before, pixels))
        until(page, lambda: shown(page) != before)  # noqa: B023
    page.get_by_text("Not saved: 3").wait_for()
    assert "reconnects by itself" in page.locator("#trouble").inner_text()
    server.start()
    saved(page)
    until(page, lambda: labelled(page) == 5)
    assert page.locator("#trouble").is_hidden()
    label_some(page, pixels, 3)
    saved(page)
    assert len(server.labels()) == 8


def test_answers_of_a_tab_that_was_closed_are_sent_by_the_next(serve, visit, pixels):
    server = serve()
    page = visit(server.address)
    ten_classes(page)
    server.kill()
    before = shown(page)
    press(page, digit_key(before, pixels))
    page.get_by_text("Not saved: 1").wait_for()
    context = page.context
    page.close()
    server.start()
    page = visit(server.address, context=context)
    saved(page)
    until(page, lambda: labelled(page) == 1)
    assert server.events()[0].label == pixels.truth(before)


@pytest.mark.timeout(900)
def test_kill_9_in_a_burst_of_a_thousand_labels(serve, visit, tmp_path):
    server = serve(1200)
    page = visit(server.address)
    acknowledged: list[str] = []

    def note(response):
        if response.url.endswith("/answers") and response.ok:
            acknowledged.extend(d["id"] for d in response.json()["done"] if "step" in d)

    page.on("response", note)
    page.evaluate(
        """() => fetch("classes", {method: "POST", body: JSON.stringify({do: "add", name: "a"})})"""
    )
    page.locator(".choice[data-name=a]").wait_for()
    press(page, "g")
    page.locator(SCREEN).first.wait_for()
    press(page, "g")  # one by one, for good
    page.locator(".shot-large img").wait_for()
    page.evaluate(
        """() => { window.pressed = 0; let last = "";
          setInterval(() => {
            const name = document.querySelector("figcaption.file")?.textContent;
            if (!name || name === last || window.pressed >= 1000) return;
            last = name; window.pressed += 1;
            dispatchEvent(new KeyboardEvent("keydown", {code: "Digit1", key: "1", cancelable: true, bubbles: true}));
          }, 4); }""".replace("dispatchEvent", "document.body.dispatchEvent")
    )
    for aim in (200, 500, 800):
        until(page, lambda: page.evaluate("window.pressed") >= aim, seconds=300)  # noqa: B023
        server.kill()
        page.wait_for_timeout(200)
        server.start()
    until(page, lambda: page.evaluate("window.pressed") >= 1000, seconds=300)
    saved(page)
    page.wait_for_timeout(300)
    with Project.open(server.folder) as project:
        events = project.labels.events()
        steps = Counter(s.what.removeprefix("page ") for s in project.labels.steps())
    assert len(acknowledged) >= 990  # a reader that was killed may have missed the last ones
    assert all(steps[name] == 1 for name in acknowledged)
    assert len(events) == 1000
    assert len({logged.event.image for logged in events}) == 1000


def test_two_tabs_of_one_person(serve, visit, pixels):
    server = serve()
    first = visit(server.address)
    second = visit(server.address, context=first.context)
    ten_classes(first)
    second.locator(".choice .name", has_text="9").wait_for()
    assert shown(first) != shown(second)
    label_some(first, pixels, 3)
    saved(first)
    until(second, lambda: labelled(second) == 3)
    label_some(second, pixels, 3)
    saved(second)
    until(first, lambda: labelled(first) == 6)
    assert len(server.labels()) == len(server.events()) == 6


def test_two_people_and_what_they_disagree_on(serve, visit):
    server = serve(40, "Ann", "Bob")
    ann, bob = (visit(address) for address in server.addresses)
    assert "Ann" in ann.locator("header.top").inner_text()
    name_class(ann, "cat")
    saved(ann)
    image = server.events()[0].image
    answer = {"image": image, "kind": "human", "label": "dog"}
    bob.evaluate(
        "said => fetch('answers', {method: 'POST', body: JSON.stringify({messages: [said]})})",
        {"id": "bob", "answers": [answer]},
    )
    until(ann, lambda: "dog" in ann.locator(".choice .name").all_inner_texts())
    press(ann, "r")
    ann.get_by_text("Annotators differ.").first.wait_for()
    choices = ann.locator(".choice.look").all_inner_texts()
    assert any("cat" in text and "Ann" in text for text in choices)
    assert any("dog" in text and "Bob" in text for text in choices)
    place = next(n for n, text in enumerate(choices, 1) if "cat" in text)
    press(ann, str(place))
    saved(ann)
    assert server.labels()[image].label == "cat"


def test_a_full_disk_is_told_and_nothing_is_lost(serve, visit, pixels):
    server = serve()
    page = visit(server.address)
    ten_classes(page)
    full = {"error": {"reason": "not_saved", "message": "The disk is full."}}
    page.route("**/answers", lambda route: route.fulfill(status=507, body=json.dumps(full)))
    before = shown(page)
    press(page, digit_key(before, pixels))
    page.get_by_text("Not saved: 1").wait_for()
    assert "The disk is full." in page.locator("#trouble").inner_text()
    on_screen = shown(page)
    press(page, "1")  # refused, visibly
    assert shown(page) == on_screen
    assert "nothing can be saved now" in page.locator("#note").inner_text()
    page.unroute("**/answers")
    saved(page)
    until(page, lambda: labelled(page) == 1)
    assert page.locator("#trouble").is_hidden()
    assert [event.label for event in server.events()] == [pixels.truth(before)]


def test_a_refused_answer_comes_back(serve, visit):
    server = serve()
    page = visit(server.address)
    first = shown(page)
    name_class(page, "bad\u0007name")
    page.get_by_text("Not taken:").first.wait_for()
    assert "control character" in page.locator("#note").inner_text()
    assert shown(page) == first
    assert server.events() == []


def test_an_image_that_vanishes_is_told_and_skipped(serve, visit):
    server = serve()
    page = visit(server.address)
    name_class(page, "cat")
    saved(page)
    kept = shown(page)
    for path in server.folder.glob("*.png"):
        path.unlink()
    page.reload()
    page.get_by_text("This image cannot be shown").wait_for()
    press(page, "1")
    assert "cannot be shown" in page.locator("#note").inner_text()
    assert len(server.events()) == 1, kept
    press(page, "s")


def test_review_and_classes_and_help(serve, visit, pixels):
    server = serve(80)
    page = visit(server.address)
    ten_classes(page)
    press(page, "f")
    flagged = shown(page)
    press(page, digit_key(flagged, pixels))
    saved(page)
    press(page, "r")
    page.get_by_text("Flagged for a second look.").first.wait_for()
    assert shown(page) == flagged
    press(page, "1")
    page.get_by_text("Nothing else needs a second look.").first.wait_for()
    saved(page)
    assert not server.events()[-1].flagged
    press(page, "m")
    dialog = page.locator("#classes")
    dialog.get_by_label("Name of 0", exact=True).fill("zero")
    press(page, "Tab")
    dialog.get_by_label("Name of zero").wait_for()
    dialog.get_by_label("Merge 1 into").select_option("zero")
    page.locator("#classes-list tr").nth(8).wait_for()
    until(page, lambda: page.locator("#classes-list tr").count() == 9)
    dialog.get_by_label("New class").fill("zero")
    press(page, "Enter")
    assert "already is a class" in dialog.get_by_role("alert").inner_text()
    dialog.get_by_role("button", name="Close").click()
    with Project.open(server.folder) as project:
        changes = [(e.kind, e.name, e.into) for e in project.classes.events()]
    assert changes[-2:] == [("renamed", "0", "zero"), ("merged", "1", "zero")]
    press(page, "?")
    assert "undo, without end" in page.locator("#keys").inner_text()
    press(page, "Escape")


def test_the_keyboard_reaches_everything_and_focus_is_seen(serve, visit):
    page = visit(serve().address)
    name_class(page, "cat")
    assert page.locator("#saved").get_attribute("role") == "status"
    assert page.locator("#live").get_attribute("aria-live") == "polite"
    reached = set()
    for _ in range(15):
        press(page, "Shift+Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {
        "open-review",
        "open-classes",
        "open-plans",
        "open-export",
        "open-keys",
        "theme",
    } <= reached
    page.locator("#open-keys").focus()
    press(page, "Shift+Tab", "Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    press(page, "Enter")
    page.locator("#keys[open]").wait_for()
    press(page, "Escape", "Escape")
    assert page.evaluate("document.activeElement.id") == "stage"
    press(page, "Tab")  # from the stage it is the key of the grid
    page.locator(".tiles[role=listbox] .tile[role=option][aria-selected]").first.wait_for()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "option"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_telephone_in_both_colours(serve, visit, scheme):
    page = visit(serve().address, color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 740})
    name_class(page, "a class with a rather long name " * 4)
    for keys in ((), ("m",), ("Escape", "?"), ("Escape", "p"), ("Escape", "e"), ("Escape", "g")):
        press(page, *keys)
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, keys
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(19, 21, 25)") == (scheme == "dark")


def test_a_thousand_classes(serve, visit):
    server = serve()
    with Project.open(server.folder) as project:
        project.classes.add(*(f"class {number:04}" for number in range(1000)))
    server.kill()
    server.start()
    page = visit(server.address)
    assert page.locator(".choice").count() == 21
    press(page, "c")
    page.keyboard.type("0987")
    assert page.locator("#box-list [role=option]").count() <= 2
    press(page, "Enter")
    saved(page)
    assert server.events()[0].label == "class 0987"


def test_a_wrong_token(serve, browser):
    server = serve()
    page = browser.new_page()
    page.goto(server.address.rsplit("/", 2)[0] + "/wrong-token/")
    assert "handful label" in page.locator("main").inner_text()
    page.close()


@pytest.mark.timeout(900)
def test_from_no_label_to_a_model_whose_interval_holds_the_truth(visit, pixels, tmp_path):
    """The whole way through the command itself, with the packaged backbone, by keys alone."""
    folder = pixels.write_digits(tmp_path / "fresh", 360)
    model = tmp_path / "digits.handful"
    run = "from handful.cli import main; main()"
    command = [sys.executable, "-c", run, "label", str(folder), "--no-browser", "-o", str(model)]
    server = Server(folder, command=command)
    try:
        page = visit(server.address)
        while labelled(page) < 150 or len(server_points(page)) == 0:
            answer_by_keys(page, pixels)
            assert labelled(page) < 340
        saved(page)
        page.wait_for_timeout(500)
        _, value, low, high, n = server_points(page)[-1]
        press(page, "p")
        page.get_by_role("button", name="Rank the plans").press("Enter")
        page.locator(".plans li").first.wait_for(timeout=240_000)
        plans = page.locator(".plans li").all_inner_texts()
        assert any("handful fit" in plan and "%" in plan for plan in plans), plans
        press(page, "Escape")
        press(page, "e")
        press(page, "Tab")
        page.get_by_role("button", name="Make the model file").press("Enter")
        page.get_by_role("link", name="Download").wait_for(timeout=240_000)
        assert str(model) in page.locator("#export-state").inner_text()
    finally:
        server.kill()
    rows = predict(model, [folder], quiet=True)
    asked = {image.name for image in _images(server) if image.label is not None}
    unseen = [row for row in rows if Path(row.path).name not in asked]
    hits = [row.prediction.label == pixels.truth(row.path) for row in unseen]
    accuracy = sum(hits) / len(hits)
    assert low <= accuracy <= high, (value, low, high, n, accuracy)
    assert accuracy > 0.5


def _images(server):
    with Project.open(server.folder) as project:
        return project.images()


def server_points(page):
    return page.evaluate("fetch('state').then(r => r.json()).then(s => s.progress.points)")


def answer_by_keys(page, pixels):
    """Answer the screen rightly, by keys alone; a class that is not there yet is named."""
    page.locator(SCREEN).first.wait_for()
    if page.locator("figcaption.file").count():
        before = shown(page)
        order = page.locator(".choice .name").all_inner_texts()
        truth = pixels.truth(before)
        if truth in order[:10]:
            press(page, str((order.index(truth) + 1) % 10))
        else:
            name_class(page, truth)
        until(page, lambda: not page.locator("figcaption.file").count() or shown(page) != before)
        return
    title = page.locator("#ask .name").inner_text()
    labels = page.locator(".tile").evaluate_all("tiles => tiles.map((tile) => tile.ariaLabel)")
    for name in reversed(labels):
        if pixels.truth(name) != title:
            press(page, "Space")
        press(page, "ArrowLeft")
    press(page, "Enter")
    page.wait_for_timeout(100)
