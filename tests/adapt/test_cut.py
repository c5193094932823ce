"""The cut report on a tiny chain: every arm, going on after a kill, and the sentence from given hits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from handful.core import AdaptError
from handful.images import Preprocess

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("timm", reason="needs the train extra")
pytest.importorskip("lightning_fabric", reason="needs the train extra")
from torch import nn  # noqa: E402

from handful.adapt import cut  # noqa: E402
from handful.adapt.cut import cut_report  # noqa: E402
from handful.adapt.cut_parts import CutSettings, CutTraining, even_cuts, initialised, make_tasks  # noqa: E402
from handful.adapt.cut_table import (  # noqa: E402
    BASE,
    PROBE,
    RETRAINED,
    SELF,
    TRANSFER,
    table,
)
from handful.adapt.feeding import TrainingData  # noqa: E402
from handful.adapt.network import Network, load_network  # noqa: E402
from handful.adapt.recipe import Hardware  # noqa: E402

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30)]
CPU = Hardware(accelerator="cpu")
TINY = CutSettings(cuts=(1, 2), splits=1, n_train=4, n_test=3, batch_size=4, seconds=3)


def block(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU())


def network() -> Network:
    torch.manual_seed(0)
    chain = nn.Sequential(
        block(3, 6), block(6, 8), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    )
    return Network(chain, Preprocess(size=8), (0.5,) * 3, (0.5,) * 3, "tiny")


def coloured(n: int = 7, classes: int = 4) -> TrainingData:
    random = np.random.default_rng(0)
    images = [
        Image.fromarray((np.array(COLOURS[c]) + random.integers(-30, 30, (9, 9, 3))).astype(np.uint8))
        for c in range(classes) for _ in range(n)
    ]  # fmt: skip
    targets = np.repeat(np.arange(classes), n)
    names = [f"hash {row}" for row in range(len(images))]
    return TrainingData(images, names, targets, (0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def fixed_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut._Grid, "_steps", lambda self: 6)


@pytest.mark.slow
@pytest.mark.usefixtures("fixed_steps")
def test_a_report_has_every_arm(tmp_path: Path) -> None:
    own, data = network(), coloured()
    before = {name: value.clone() for name, value in own.chain.state_dict().items()}
    report = cut_report(own, data, tmp_path, TINY, hardware=CPU, quiet=True)
    assert all(torch.equal(value, before[name]) for name, value in own.chain.state_dict().items())
    assert report.n_runs == 2 and report.steps == 6
    for arm in ("AnB", "AnB+", "BnB", "BnB+", "probe"):
        assert [kept for kept, _ in report.curve(arm)] == [1, 2]
    ((kept, base),) = report.curve("base")
    assert kept == 2 and base.n == 12
    assert report.sentence.startswith(("Keep block", "No difference"))
    json.dumps(report.as_dict())


@pytest.mark.slow
@pytest.mark.usefixtures("fixed_steps")
def test_a_killed_report_goes_on_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cut_report(network(), coloured(), tmp_path / "whole", TINY, hardware=CPU, quiet=True)
    real, calls = cut.train, 0

    def killed(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(cut, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        cut_report(network(), coloured(), tmp_path / "part", TINY, hardware=CPU, quiet=True)
    done = json.loads((tmp_path / "part" / "cut.json").read_text())["cells"]
    assert "0 base 2" in done and "0 BnB 1" in done and "0 AnB 2" not in done
    again = cut_report(network(), coloured(), tmp_path / "part", TINY, hardware=CPU, quiet=True)
    assert again == whole
    assert calls == 19  # 18 trained cells in all, one of them tried twice
    cut_report(network(), coloured(), tmp_path / "part", TINY, hardware=CPU, quiet=True)
    assert calls == 19


@pytest.mark.slow
@pytest.mark.usefixtures("fixed_steps")
def test_activations_too_large_for_memory_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grids = []
    for folder, most in [("cached", 2**30), ("not", 0)]:
        monkeypatch.setattr(cut, "_MOST_BYTES", most)
        grid = cut._Grid(network(), coloured(), tmp_path / folder, TINY, CPU)
        grid.state["steps"] = 12
        grids.append(grid._measured(0, TRANSFER, 1)[TRANSFER, 1])
    np.testing.assert_array_equal(*grids)


@pytest.mark.parametrize(("seconds", "steps"), [(20, 20), (30, 30), (1e6, 60)])
def test_the_budget_is_shared_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, steps: int
) -> None:
    """Two tasks, each five whole cells (0.06 s a step) and four frozen ones (0.025 s a step)."""
    seen = {"AnB+": 0.06, "AnB": 0.025}
    monkeypatch.setattr(cut._Grid, "_step_seconds", lambda self, arm, kept: seen[arm])
    settings = replace(TINY, seconds=seconds)
    grid = cut._Grid(network(), coloured(), tmp_path, settings, CPU)
    assert grid._steps() == steps  # at most 30 epochs of two steps


def test_a_step_is_timed(tmp_path: Path) -> None:
    grid = cut._Grid(network(), coloured(), tmp_path, TINY, CPU)
    assert 0 < grid._step_seconds(TRANSFER, 1) < 5


def test_another_report_in_the_folder_is_refused(tmp_path: Path) -> None:
    grid = cut._Grid(network(), coloured(), tmp_path, TINY, CPU)
    grid._add(0, {("probe", 1): np.array([True, False])})
    assert json.loads((tmp_path / "cut.json").read_text())["cells"] == {"0 probe 1": "10"}
    with pytest.raises(AdaptError, match="another cut report, with other images, labels"):
        cut._Grid(network(), coloured(6), tmp_path, TINY, CPU)
    (tmp_path / "cut.json").write_text("{")
    with pytest.raises(AdaptError, match="is damaged"):
        cut._Grid(network(), coloured(), tmp_path, TINY, CPU)


def test_wrong_data_and_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdaptError, match=r"Cuts are from 1 to 2.*Got 3"):
        cut._Grid(network(), coloured(), tmp_path, CutSettings(cuts=(1, 3)), CPU)
    with pytest.raises(AdaptError, match=r"two classes with two images each.* Got 1"):
        make_tasks(np.array([0, 0, 1, -1, -1]), TINY)
    settings = CutSettings(cuts=(1,), splits=1, seconds=1e-6, batch_size=4)
    with pytest.raises(AdaptError, match=r"pays for 0 steps a cell, fewer than 8. Give \d+ s"):
        cut_report(network(), coloured(), tmp_path, settings, hardware=CPU, quiet=True)


def test_halves_share_no_class_and_tasks_no_image() -> None:
    targets = np.repeat(np.arange(5), 9)
    tasks = make_tasks(targets, CutSettings(splits=3, n_train=4, n_test=3))
    assert len(tasks) == 6
    for first, second in zip(tasks[::2], tasks[1::2], strict=True):
        halves = [set(targets[np.r_[task.train, task.test]]) for task in (first, second)]
        assert not halves[0] & halves[1] and len(halves[0] | halves[1]) == 5
    for task in tasks:
        assert not set(task.train) & set(task.test)
        assert len(task.train) == 4 * task.n_classes and len(task.test) == 3 * task.n_classes
        names = {int(y): int(targets[row]) for row, y in zip(task.train, task.y_train, strict=True)}
        assert [names[int(y)] for y in task.y_test] == targets[task.test].tolist()


def test_few_classes_are_not_halved_and_few_images_are_shared_out() -> None:
    (task,) = make_tasks(np.array([0, 0, 1, 1, 1, 2]), CutSettings(splits=1))
    assert task.n_classes == 2
    assert (len(task.train), len(task.test)) == (2, 3)


def test_cuts_are_spread() -> None:
    assert even_cuts(1) == (1,)
    assert even_cuts(100)[0] == 1 and even_cuts(100)[-1] == 100


def test_kept_blocks_train_slower_and_frozen_ones_not() -> None:
    chain = network().chain
    chain[0].requires_grad_(False)
    method = CutTraining(chain, dim=8, n_classes=2, kept=2)
    method.train()
    assert not chain[0][1].training and chain[1][1].training
    rates = [group["lr"] for group in method.parameter_groups(1.0, 0.1)]
    assert rates == [pytest.approx(0.3), pytest.approx(0.3), 1.0]


def test_new_blocks_come_from_the_seed() -> None:
    own = network()
    first, same, other = (initialised(own, own.chain, seed)[0][0].weight for seed in (1, 1, 2))
    assert torch.equal(first, same) and not torch.equal(first, other)
    timm = load_network("timm:resnet10t", scratch=True, preprocess={"size": 32})
    a, b = (initialised(timm, timm.chain, seed)[1].conv1.weight for seed in (1, 2))
    assert not torch.equal(a, b)

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

    chain = nn.Sequential(nn.Conv2d(3, 2, 1), Odd())
    with pytest.raises(AdaptError, match=r"The layer '1' \(Odd\) has no reset_parameters"):
        initialised(Network(chain, Preprocess(size=8), (0.5,) * 3, (0.5,) * 3, "own"), chain, 0)


def hits(accuracies: dict[tuple[str, int], float], n: int) -> tuple[Any, list[np.ndarray]]:
    """Return hits of two tasks that agree as much as they can."""
    made = {cell: [np.arange(n) < a * n] * 2 for cell, a in accuracies.items()}
    return made, [np.arange(n), np.arange(n, 2 * n)]


def arms(
    frozen: list[float], plus: float, own: float, base: float = 0.9
) -> dict[tuple[str, int], float]:
    cells = {(TRANSFER, n): a for n, a in enumerate(frozen, 1)}
    cells |= {(RETRAINED, n): plus for n in range(1, len(frozen) + 1)}
    return cells | {(SELF, n): own for n in range(1, len(frozen) + 1)} | {(BASE, len(frozen)): base}


@pytest.mark.parametrize(
    ("cells", "n", "keep", "words"),
    [
        (arms([0.5, 0.8, 0.6], 0.9, 0.85), 400, 2, [
            "Keep blocks 1–2 as they are and train the blocks above anew: 80.0 %", "Keeping 1 or fewer is worse.",
            "Then let the kept blocks train on as well: +10.0 points (+7.",
            "training those above anew costs -5.0 points",
        ]),
        (arms([0.5, 0.6, 0.8], 0.7, 0.9), 400, 3, [
            "Keep blocks 1–3 as they are and train the head alone", "Keeping 2 or fewer is worse.",
            "Do not train the kept blocks on: -10.0 points", "costs nothing that can be shown: +0.0 points",
        ]),
        (arms([0.75, 0.8, 0.8], 0.8, 0.9), 20, 3, [
            "No difference between the cuts can be shown", "Keep blocks 1–3", "helps cannot be shown: +0.0 points",
        ]),
        (arms([0.8], 0.8, 0.9), 20, 1, ["Keep block 1 as it is and train the head alone"]),
        (arms([0.8, 0.5, 0.4], 0.8, 0.9), 400, 1, ["Keep block 1 as it is and train the blocks above anew: 80.0 %"]),
    ],
)  # fmt: skip
def test_the_sentence_says_what_was_shown(cells: Any, n: int, keep: int, words: list[str]) -> None:
    made, tests = hits(cells, n)
    report = table(made, tests, n_train=2 * n, n_blocks=max(k for _, k in cells), steps=9)
    assert report.keep == keep
    for part in words:
        assert part in report.sentence


@pytest.mark.parametrize(
    ("probes", "words"),
    [
        ([0.5, 0.9, 0.7], "last block's vectors has 70.0 % (65.3–74.3), and on those of block 2 +20.0 points"),
        ([0.5, 0.72, 0.7], "70.0 % (65.3–74.3); that another block's are better cannot be shown."),
        ([0.7], "70.0 % (65.3–74.3); that another block's are better cannot be shown."),
    ],
)  # fmt: skip
def test_the_probe_of_every_block_is_compared_with_the_last(
    probes: list[float], words: str
) -> None:
    cells = arms([0.8], 0.8, 0.9) | {(PROBE, n): a for n, a in enumerate(probes, 1)}
    made, tests = hits(cells, 200)
    assert words in table(made, tests, n_train=400, n_blocks=1, steps=9).sentence


def test_an_image_in_two_splits_counts_once() -> None:
    made, _ = hits(arms([0.8], 0.8, 0.9), 20)
    report = table(made, [np.arange(20)] * 2, n_train=20, n_blocks=1, steps=9)
    assert report.curve("AnB")[0][1].n == 20
    twice = table(made, [np.arange(20), np.arange(20, 40)], n_train=20, n_blocks=1, steps=9)
    assert twice.curve("AnB")[0][1].n == 40
