"""The trainers in the training loop: a run that was stopped ends as one that was not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("lightning_fabric", reason="needs the train extra")

from handful.adapt.log import read_log  # noqa: E402
from handful.adapt.loop import TrainingData, train  # noqa: E402
from handful.adapt.recipe import Hardware, Recipe  # noqa: E402
from handful.adapt.semisupervised.consistency import Agreement, Consistency, Marked  # noqa: E402
from handful.adapt.semisupervised.noisy_student import Noise, School  # noqa: E402
from handful.adapt.semisupervised.variants import VARIANTS  # noqa: E402
from handful.core import AdaptError  # noqa: E402

CPU = Hardware(accelerator="cpu")
N, CLASSES = 16, 2
TARGETS = np.array([0, 0, 0, 0, 1, 1, 1, 1] + 8 * [-1])
RECIPE = Recipe(steps=10, batch_size=6, labelled_share=0.34)


class StopError(Exception):
    pass


def training_data(small: Any) -> TrainingData:
    hashes = [f"hash{i}" for i in range(N)]
    return TrainingData(small.pictures(N), hashes, TARGETS, (0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize(
    ("variant", "kind"), [*((name, "cnn") for name in VARIANTS), ("softmatch", "vit")]
)
def test_a_stopped_run_ends_bit_equal(variant: str, kind: str, tmp_path: Path, small: Any) -> None:
    data = training_data(small)
    data = replace(data, images=Marked(data.images, TARGETS))

    def method() -> Any:
        how = Agreement(variant, threshold=0.5)
        return Consistency(small.network(kind), targets=TARGETS, size=32, how=how)

    looks = []

    def look(chain: Any) -> dict[str, float]:
        looks.append(1)
        if len(looks) == 5:
            raise StopError
        return {}

    whole, resumed = method(), method()
    train(whole, data, RECIPE, tmp_path / "whole", hardware=CPU, quiet=True)
    with pytest.raises(StopError):
        train(method(), data, RECIPE, tmp_path / "part", look=look, hardware=CPU, quiet=True)
    train(resumed, data, RECIPE, tmp_path / "part", hardware=CPU, quiet=True)
    ours, theirs = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    losses = [[line["loss"] for line in read_log(tmp_path / run)] for run in ("whole", "part")]
    assert losses[0] == losses[1] and len(losses[0]) == 10
    assert resumed.confidence_counts() == whole.confidence_counts()
    assert resumed.confidence_counts()["never_seen"] == 0  # 40 draws of 8 images


def probabilities(confident: float, rows: int = N) -> np.ndarray:
    """Return guesses of which every fourth is not sure."""
    p = np.full((rows, CLASSES), 0.5, np.float32)
    for row in range(rows):
        sure = 0.5 if row % 4 == 3 else confident
        p[row] = (sure, 1 - sure) if row % 2 else (1 - sure, sure)
    return p


def school(small: Any, folder: Path, **options: Any) -> School:
    own = options.pop("own", {})
    values: dict[str, Any] = {
        "teacher": lambda fit: probabilities(0.9), "student": lambda fit: (small.network("cnn"), None),
        "plan": lambda method, data: RECIPE, "classes": ["a", "b"], "hardware": CPU, "quiet": True,
        "noise": Noise(**{"threshold": 0.6, **options}),
    }  # fmt: skip
    return School(training_data(small), folder=folder, size=32, **(values | own))


def test_one_generation_learns_confident_guesses(tmp_path: Path, small: Any) -> None:
    taught = school(small, tmp_path).teach()
    assert taught.generation == 1 and taught.accuracies == []
    assert taught.counts == {"unlabelled": 8, "never_confident": 2}
    lines = (tmp_path / "pseudo_labels.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["image"] for r in records] == [f"hash{i}" for i in range(8, 16)]
    left_out = {11: "not sure", 15: "not sure", 14: "its class has too many"}
    assert [r["used"] for r in records] == [i not in left_out for i in range(8, 16)]
    assert records[0] == {
        "image": "hash8",
        "round": 1,
        "class": "b",
        "confidence": 0.9,
        "used": True,
    }
    assert len(read_log(taught.folder)) == 10


def test_a_second_generation_needs_a_gain_on_labels_kept_from_training(
    tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def teacher(fit: np.ndarray) -> np.ndarray:
        seen.append(fit)
        return probabilities(0.9)

    def scored(*accuracies: float) -> Any:
        left = list(accuracies)
        monkeypatch.setattr(School, "_accuracy", lambda *_: [left.pop(0)])
        folder = tmp_path / "-".join(map(str, accuracies))
        return school(small, folder, generations=2, threshold=0.5, own={"teacher": teacher}).teach()

    assert scored(0.5, 0.5).generation == 1
    assert scored(0.5, 0.6, 0.6).generation == 1
    taught = scored(0.5, 0.6, 0.7)
    assert taught.generation == 2 and taught.accuracies == [0.5, 0.6, 0.7]
    assert {len(fit) for fit in seen} == {6}  # of 8 labels a quarter decides
    lines = (tmp_path / "0.5-0.6-0.7" / "pseudo_labels.jsonl").read_text().splitlines()
    assert [json.loads(line)["round"] for line in lines] == 8 * [1] + 8 * [2]


def test_a_stopped_school_ends_bit_equal(tmp_path: Path, small: Any) -> None:
    """The second student is stopped before it begins; all is called again."""
    gains = [0.1, 0.2, 0.3]

    def always_gains(folder: Path, limit: int) -> Any:
        calls = []

        def student(fit: np.ndarray) -> Any:
            calls.append(1)
            if len(calls) > limit:
                raise StopError
            return small.network("cnn"), None

        left = list(gains)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(School, "_accuracy", lambda *_: [left.pop(0)])
            return school(
                small, folder, generations=2, threshold=0.5, own={"student": student}
            ).teach()

    whole = always_gains(tmp_path / "whole", 2)
    with pytest.raises(StopError):
        always_gains(tmp_path / "part", 1)
    resumed = always_gains(tmp_path / "part", 2)
    ours, theirs = whole.network.chain.state_dict(), resumed.network.chain.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    name = "pseudo_labels.jsonl"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "part" / name).read_bytes()


def test_a_teacher_that_is_never_confident_is_refused(tmp_path: Path, small: Any) -> None:
    own = {"teacher": lambda fit: probabilities(0.55)}
    with pytest.raises(AdaptError, match=r"highest probability is 0\.55, the threshold 0\.6"):
        school(small, tmp_path, own=own).teach()
