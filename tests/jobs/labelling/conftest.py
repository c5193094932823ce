"""What the tests of a labelling session share: a folder of digits and one who knows them."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from handful.jobs.labelling.figures import Figures


@pytest.fixture(scope="session")
def pixels():
    """The module ``pixels.py`` of the web tests."""
    place = Path(__file__).parents[2] / "web" / "pixels.py"
    spec = importlib.util.spec_from_file_location("pixels", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules["pixels"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def forecasts():
    """Asks for the forecast of more labels, which takes seconds."""


@pytest.fixture(autouse=True)
def _no_forecast(request, monkeypatch):
    if "forecasts" not in request.fixturenames:
        monkeypatch.setattr(Figures, "forecast", lambda *_: None)


class Person:
    """Answers screens as somebody who knows the digits."""

    numbers = itertools.count()

    def __init__(self, labelling, pixels, name="Ann") -> None:
        self.labelling, self.pixels, self.name = labelling, pixels, name

    def say(self, *answers, name=None):
        message = {"id": name or f"{self.name}-{next(self.numbers)}", "answers": list(answers)}
        return self.labelling.answer(self.name, [message])[0]

    def undo(self, step):
        return self.labelling.answer(self.name, [{"id": f"u{next(self.numbers)}", "undo": step}])[0]

    def screens(self, mode="single", n=1, tab="tab", **options):
        return self.labelling.screens(self.name, tab, mode, n, **options)

    def answer_to(self, screen):
        """Return the right answers to a screen."""
        answers = []
        for item in screen["items"]:
            label = self.pixels.truth(item["name"])
            kind = "confirmed" if label == item["suggestion"] else "human"
            answers.append(
                {
                    "image": item["image"], "label": label,
                    "kind": "audit" if screen["why"] == "audit" else kind, "blind": item["blind"],
                    "q": item["q"], "suggestion": item["suggestion"], "model": item["model"],
                    "probability": item["probability"], "milliseconds": 500,
                }
            )  # fmt: skip
        return answers

    def label(self, n, **options):
        """Label until ``n`` images more have a label."""
        aim = self.labelling.state(self.name)["labelled"] + n
        while self.labelling.state(self.name)["labelled"] < aim:
            (screen,) = self.screens(**options)
            self.say(*self.answer_to(screen))


def wait_for(condition, seconds=20):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)


@pytest.fixture
def wait():
    return wait_for


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory, pixels):
    """120 digits, shared: sessions keep their state elsewhere."""
    return pixels.write_digits(tmp_path_factory.mktemp("labelling") / "digits", 120)


@pytest.fixture
def start(digits_folder, tmp_path, pixels):
    """Open sessions of one project: ``with start("Ann") as labelling``; they are ready at once."""

    @contextmanager
    def begin(*annotators, **options):
        options = {"project_dir": tmp_path / "project", **options}
        with pixels.session(digits_folder, annotators=annotators, **options) as labelling:
            wait_for(lambda: labelling.state(annotators[0])["stage"] == "done")
            yield labelling

    return begin


@pytest.fixture
def opened(start):
    """An open session with all images embedded."""
    with start("Ann", "Bob") as labelling:
        yield labelling


@pytest.fixture
def ann(opened, pixels):
    return Person(opened, pixels)


@pytest.fixture
def bob(opened, pixels):
    return Person(opened, pixels, "Bob")


@pytest.fixture
def person(pixels):
    """Make a person for another session."""
    return lambda labelling, name="Ann": Person(labelling, pixels, name)
