import copy
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from handful.core import BundleError
from handful.report import render, summary_table

HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "{{ 7 * 7 }}",
    "</style><b>", "</svg><script>", "&lt;&#60;", "$x^2$", "javascript:alert(1)", "a\u202egpj.exe",
    "b\x00\x1b[31m", "caf\udce9", "狐🦊", "", " ", "-->", "]]>", "@0@", "#000001", "x" * 5000,
]  # fmt: skip


def no_image(name):
    return None


def test_the_page_says_everything(report, read_page, picture):
    page = read_page(render(report(3), picture))
    for part in (
        "80 %", "Of 100 new images", "75.0–85.0 %", "cross-validation", "Know this first", "the file is empty",
        "x/c.jpg, y/c.jpg → x / y", "It is the best by more than one standard error.", "30 more labels are expected",
        "taken for", "On average it states", "m/1.jpg", "u/2.jpg", "lite0", "ab12", "random state", "24 November 2026",
        "miss rate", "In agreement".lower(), "Fewer than 5 %",
    ):  # fmt: skip
        assert part in page.text, part
    assert [tag for tag, _ in page.tags].count("svg") == 4
    assert [tag for tag, _ in page.tags].count("img") == 3


@pytest.mark.parametrize("n_classes", [0, 1, 2, 3, 24, 25, 100])
@pytest.mark.parametrize("known", [True, False])
def test_any_number_of_classes(report, read_page, n_classes, known):
    page = read_page(render(report(n_classes, known=known), no_image))
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == 1 and names.count("main") == 1
    assert known or "ot measurable" in page.text or "No labels yet" in page.text


@pytest.mark.slow
def test_two_hundred_classes(report, read_page):
    html = render(report(200), no_image)
    assert "The 30 weakest of 200 classes" in read_page(html).text and len(html) < 1_000_000


@pytest.mark.parametrize("section", [*range(24), None])
def test_every_section_may_be_missing_or_null(report, read_page, section):
    full = report(2, known=False)
    key = list(full)[section] if section is not None and section < len(full) else None
    read_page(render({k: v for k, v in full.items() if k != key}, no_image))
    read_page(render(full | {key: None} if key else {}, no_image))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text_everywhere(report, read_page, picture, name):
    full = report(2)
    full["data"]["classes"][0]["name"] = full["per_class"][0]["name"] = name
    full["confusion"]["classes"][0] = full["methods"][0]["name"] = full["chosen"]["why"] = name
    full["mislabelled"][0] = {
        "name": name,
        "label": name,
        "prediction": name,
        "confidence_in_label": 0.1,
    }
    full["data"]["unusable"] = [{"name": name, "reason": name}]
    full["backbone"][name] = full["created"] = full["expected_gain"]["sentence"] = name
    html = render(full, picture)
    html.encode("utf-8")
    plain = render(report(2), picture)
    structure = [tag for tag, _ in read_page(html).tags if tag != "title"]
    assert sorted(set(structure)) == sorted(
        {tag for tag, _ in read_page(plain).tags if tag != "title"}
    )
    assert "<script" not in html and "49" not in html.partition("{{ 7")[2][:9]


def test_images_are_asked_for_by_their_own_name(report):
    asked = []
    full = report(2)
    full["uncertain"] = [{"name": f"caf\udce9 {i}", "prediction": "a"} for i in range(40)]
    html = render(full, asked.append)
    assert asked[:24] == [f"caf\udce9 {i}" for i in range(24)] and len(asked) == 25
    assert "16 more images in report.json." in html and "no preview" in html


def test_the_same_report_gives_the_same_page(report, picture):
    assert render(report(6), picture) == render(copy.deepcopy(report(6)), picture)


@pytest.mark.slow
@pytest.mark.data
def test_real_photos_fit_in_a_small_page(report, read_page):
    root = os.environ.get("HANDFUL_DATA")
    if not root:
        pytest.skip("HANDFUL_DATA names no folder of images")
    photos = sorted(Path(root, "clothing", "train", "hat").glob("*.jpg"))[:24]
    full = report(10)
    full["uncertain"] = [{"name": p.name, "prediction": "hat", "confidence": 0.2} for p in photos]
    names = {p.name: p for p in photos}
    html = render(full, lambda name: Image.open(names[name]) if name in names else None)
    assert [tag for tag, _ in read_page(html).tags].count("img") == 24
    assert len(html) < 500_000


def test_the_report_is_not_changed(report, picture):
    full = report(3)
    before = copy.deepcopy(full)
    render(full, picture)
    assert full == before


def test_nothing_loads_and_nothing_runs(report, picture):
    html = render(report(3), picture)
    assert "default-src 'none'" in html and "url(http" not in html and "@import" not in html
    assert html.replace("http://www.w3.org/", "").count("http") == 1  # http-equiv of the policy


def test_both_themes_and_paper(report):
    html = render(report(2), no_image)
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    for variable in ("ink", "muted", "grid", "right", "band"):
        assert f"--{variable}:" in html and f"var(--{variable})" in html


def test_damaged_reports_are_refused():
    with pytest.raises(BundleError, match=r"'report.methods' must be a list\. Got str instead"):
        render({"methods": "all"}, no_image)


ANY_TEXT = st.text(st.characters(exclude_categories=()))
KEYS = st.sampled_from(["name", "value", "low", "high", "n"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=6,
)


def spoiled(report, seed, value):
    """Return the report with the value in the place of some part of it."""
    chance = random.Random(seed)
    result = copy.deepcopy(report)
    node = result
    while True:
        key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], (dict, list)) or not node[key] or chance.random() < 0.3:
            node[key] = value
            return result
        node = node[key]


def summarised(report):
    """Return whether the report was summarised; False when it was refused with its reason."""
    try:
        summary_table(report)
    except BundleError:
        return False
    return True


FIXTURES = [HealthCheck.function_scoped_fixture]


@settings(max_examples=80, deadline=None, suppress_health_check=FIXTURES)
@given(seed=st.integers(0, 10**6), value=JSON)
def test_a_spoiled_report_is_summarised_or_refused(report, seed, value):
    summarised(spoiled(report(2), seed, value))


@pytest.mark.slow
@settings(max_examples=50, deadline=None, suppress_health_check=FIXTURES)
@given(seed=st.integers(0, 10**6), value=JSON)
def test_what_is_summarised_is_drawn(report, read_page, seed, value):
    damaged = spoiled(report(2), seed, value)
    if summarised(damaged):
        html = render(damaged, no_image)
        html.encode("utf-8")
        read_page(html)
