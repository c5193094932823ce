from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful import BackboneChoice, Bundle, fit
from handful.core import ProjectError

Maker = Callable[..., Path]
SMALL = BackboneChoice(size=64)


def run(folder: Path, **options):
    return fit(folder, folder.parent / "m.handful", backbone=SMALL, quiet=True, **options)


def add_noise(folder: Path, n: int) -> None:
    """Add pictures whose pixels are those of the labelled ones, shuffled."""
    random = np.random.default_rng(0)
    sources = sorted(folder.glob("[0-9]/*.png"))
    place = folder / "unlabelled"
    place.mkdir(exist_ok=True)
    for number in range(n):
        pixels = np.asarray(Image.open(sources[number % len(sources)]))
        Image.fromarray(random.permutation(pixels.ravel()).reshape(pixels.shape)).save(
            place / f"noise-{number:03}.png"
        )


@pytest.mark.slow
def test_unlabelled_images_of_the_same_kind_are_learnt_from(digits: Maker) -> None:
    folder = digits(5, classes="0123", unlabelled=30)
    result = run(folder)
    pool, report = result.report["unlabelled"], result.report
    assert report["chosen"]["name"] == "spreading_probe"
    assert pool["used"] and pool["n"] == pool["there"] == 120
    assert pool["verdict"]["kept"] == "spreading"
    assert pool["gain"]["low"] <= pool["gain"]["value"] <= pool["gain"]["high"]
    assert [row["n"] for row in pool["per_class"]] == [5, 5, 5, 5]
    assert {row["prediction"] for row in pool["trusted"]} == set("0123")
    assert pool["trusted"][0]["name"].startswith("unlabelled/")
    page = result.report_html.read_text(encoding="utf-8")
    assert "What unlabelled images brought" in page and "trusts least" in page
    inside = Bundle.load(result.bundle).report["unlabelled"]
    assert inside["trusted"] == [] and inside["gain"] == pool["gain"]
    plain = run(folder, method="linear_probe").report
    assert plain["unlabelled"]["used"] is False and plain["chosen"]["name"] == "linear_probe"


@pytest.mark.slow
def test_with_noise_the_plain_head_is_kept(digits: Maker) -> None:
    folder = digits(5, classes="0123")
    alone = run(folder)
    add_noise(folder, 80)
    noisy = run(folder)
    pool = noisy.report["unlabelled"]
    assert pool["used"] is False and pool["n"] == 80
    assert pool["verdict"]["kept"] == "probe"
    assert "did not help here" in noisy.report_html.read_text(encoding="utf-8")
    assert noisy.report["chosen"]["name"] == alone.report["chosen"]["name"]
    assert noisy.report["accuracy"] == alone.report["accuracy"]
    images = sorted(folder.glob("[0-9]/*.png"))
    said, before = (
        [row.label for _, row in Bundle.load(r.bundle).predict(images)] for r in (noisy, alone)
    )
    assert said == before


@pytest.mark.slow
def test_copies_of_test_images_are_left_out_of_the_pool(digits: Maker) -> None:
    folder = digits(12, classes="012", unlabelled=10)
    for label in "012":
        for number, path in enumerate(sorted((folder / label).iterdir())):
            place = folder / ("test" if number > 6 else "train") / label / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
        (folder / label).rmdir()
    tested = sorted((folder / "test").rglob("*.png"))
    shutil.copy(tested[0], folder / "unlabelled" / "exact.png")
    near = Image.open(tested[1])
    near.save(folder / "unlabelled" / "near.jpg", quality=95)
    pool = run(folder).report["unlabelled"]
    assert pool["there"] == 31  # the exact copy is the test image itself
    assert pool["copies"] == 1 and pool["n"] == 30


def test_a_method_that_needs_a_pool_says_so(digits: Maker) -> None:
    with pytest.raises(
        ProjectError, match=r"no unlabelled image outside the test split.*unlabelled"
    ):
        run(digits(4), method="spreading_probe")
    with pytest.raises(ValueError, match="Expected one of auto, linear_probe"):
        run(digits(4, name="b"), method="spreading")


def test_a_few_unlabelled_images_are_left_aside(digits: Maker) -> None:
    report = run(digits(4, unlabelled=2)).report
    assert report["unlabelled"]["why_not"] == "4 unlabelled images are too few to learn from."
    assert report["chosen"]["name"] == "linear_probe"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["label_spreading", "self_training"])
def test_the_other_methods_can_be_asked_for(method: str, digits: Maker) -> None:
    report = run(digits(4, unlabelled=12), method=method).report
    assert report["chosen"]["name"] == method
    assert report["unlabelled"]["used"] is True
    assert report["unlabelled"]["gain"]["value"] is None
    assert len(report["unlabelled"]["doubted"]) == 12
