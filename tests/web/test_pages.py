from __future__ import annotations

import re
from pathlib import Path

import pytest

import handful.web
from handful.web.pages import facts

STATIC = Path(handful.web.__file__).parent / "static"


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_holds_no_script_no_style_and_nothing_of_the_network(connect, predictor, path):
    async with connect(predictor) as client:
        text = (await client.get(path)).text
        links = re.findall(r'(?:src|href)="([^"#]+)"', text)
        for link in links:
            assert not re.match(r"[a-z]+:|//", link), link
            if link.startswith("static/"):
                assert (await client.get(f"/{link}")).status_code == 200
    assert "static/style.css" in links
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! [^>]*src=)", text)


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_a_static_file_names_no_other_host(file):
    text = file.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text)
    assert "innerHTML" not in text


@pytest.mark.anyio
async def test_names_are_escaped(connect, colours):
    predictor = colours.Colours(classes=("<script>alert(1)</script>", "a & b", '"'))
    predictor.info["name"] = "<b>.handful"
    async with connect(predictor) as client:
        text = (await client.get("/")).text
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert "a &amp; b" in text


def test_facts(predictor):
    assert facts(predictor)["accuracy"] == "90.0 % (80.0–95.0)"
    predictor.info = {}
    assert facts(predictor)["accuracy"] == ""
    predictor.info = {
        "accuracy": {"value": None, "low": None, "high": None, "n": 0, "what": "a", "how": "b"}
    }
    assert facts(predictor)["accuracy"] == ""
