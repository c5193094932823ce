"""What holds for every method that is trained on tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("lightning_fabric", reason="needs the train extra")

from handful.adapt.episodic.episodes import Shape  # noqa: E402
from handful.adapt.episodic.evaluation import BEST, Validation, as_input, task_accuracies  # noqa: E402
from handful.adapt.episodic.matching import Matching  # noqa: E402
from handful.adapt.episodic.prototypical import Prototypical  # noqa: E402
from handful.adapt.episodic.saved import METHODS, new_method  # noqa: E402
from handful.adapt.feeding import TrainingData  # noqa: E402
from handful.adapt.log import read_log  # noqa: E402
from handful.adapt.loop import train  # noqa: E402
from handful.adapt.recipe import Hardware, Recipe  # noqa: E402
from handful.measure import sample_episodes  # noqa: E402

CPU = Hardware(accelerator="cpu")
MEAN, STD = (0.5,) * 3, (0.25,) * 3
SHAPE = Shape(5, 2, 3)
OPTIONS: dict[str, dict[str, Any]] = {
    "reptile": {"inner_steps": 2, "test_steps": 3},
    "maml": {"inner_rate": 0.1},
}


def made(name: str, network: Any, shape: Shape = SHAPE) -> Any:
    method = new_method(name, network, shape, OPTIONS.get(name, {}))
    with torch.no_grad():  # common weights at 0 would hide much
        for part in method.parameters():
            part.add_(0.05 * torch.randn(part.shape, generator=torch.Generator().manual_seed(1)))
    return method.double().eval()  # Adam turns the rounding of tiny gradients into steps


def one_task(episodes: Any, shape: Shape = SHAPE, seed: int = 0) -> tuple[Any, Any]:
    torch.manual_seed(seed)
    return shape.parts(as_input(episodes.draw(shape), MEAN, STD).double())


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_a_class_s_images_means_nothing(name: str, make_small, make_episodes) -> None:
    method = made(name, make_small())
    support, query = one_task(make_episodes())
    ours = method.adapt_to(support[0])(query[0])
    other = method.adapt_to(support[0].flip(1))(query[0])
    assert ours.std() > 1e-4
    assert torch.allclose(ours, other, atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_classes_means_nothing(name: str, make_small, make_episodes) -> None:
    method, order = made(name, make_small()), torch.tensor([3, 0, 4, 1, 2])
    support, query = one_task(make_episodes())
    ours = method.adapt_to(support[0])(query[0])
    assert torch.allclose(ours[:, order], method.adapt_to(support[0][order])(query[0]), atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_a_prediction_changes_nothing(name: str, make_small, make_episodes) -> None:
    method, episodes = made(name, make_small()), make_episodes()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    first, second = one_task(episodes), one_task(episodes, seed=1)
    ours = method.adapt_to(first[0][0])(first[1][0])
    method.adapt_to(second[0][0])(second[1][0])
    assert torch.equal(ours, method.adapt_to(first[0][0])(first[1][0]))
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())


@pytest.mark.parametrize("name", METHODS)
def test_an_answer_does_not_depend_on_what_else_is_asked(
    name: str, make_small, make_episodes
) -> None:
    answers = made(name, make_small()).adapt_to((task := one_task(make_episodes()))[0][0])
    assert torch.allclose(answers(task[1][0])[:4], answers(task[1][0][:4]), atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_it_learns_and_a_stopped_run_ends_bit_equal(
    name: str, tmp_path: Path, make_small, make_episodes
) -> None:
    episodes, n_steps = make_episodes(), 8
    tasks = 1 if name not in OPTIONS else 2
    recipe = Recipe(steps=n_steps, batch_size=tasks, rate=1e-2, weight_decay=0.0)
    names = [f"hash{i}" for i in range(len(episodes))]
    data = TrainingData(episodes, names, episodes.codes, MEAN, STD, unit="tasks")
    looks: list[int] = []

    def look(method: Any) -> dict[str, float]:
        looks.append(1)
        if len(looks) == 5:
            raise KeyboardInterrupt
        return {}

    whole, resumed = (new_method(name, make_small(), SHAPE, OPTIONS.get(name, {})) for _ in "ab")
    stopped = new_method(name, make_small(), SHAPE, OPTIONS.get(name, {}))
    train(whole, data, recipe, tmp_path / "whole", hardware=CPU, quiet=True)
    with pytest.raises(KeyboardInterrupt):
        train(stopped, data, recipe, tmp_path / "part", look=look, hardware=CPU, quiet=True)
    train(resumed, data, recipe, tmp_path / "part", hardware=CPU, quiet=True)
    ours, theirs = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    begin = new_method(name, make_small(), SHAPE, OPTIONS.get(name, {})).state_dict()
    assert any(not torch.equal(ours[key], begin[key]) for key in ours)
    losses = [[line["loss"] for line in read_log(tmp_path / run)] for run in ("whole", "part")]
    assert losses[0] == losses[1] and len(losses[0]) == n_steps


def test_prototypes_are_told_apart_by_squared_distance(make_small, make_episodes) -> None:
    method = Prototypical(make_small(), SHAPE).double().eval()
    support, query = one_task(make_episodes())
    ours = method.adapt_to(support[0])(query[0])
    with torch.no_grad():
        means = torch.stack([method.chain(images).mean(dim=0) for images in support[0]])
        expected = -torch.cdist(method.chain(query[0]), means).square()
    assert torch.allclose(ours, expected, atol=1e-4)


def test_full_context_reads_the_whole_support(make_small, make_episodes) -> None:
    method = Matching(make_small(), SHAPE, full_context=True).double().eval()
    support, query = one_task(make_episodes())
    other = support.clone()
    other[0, 4] = support[0, 4].flip(-1)  # changes what is said of the other classes too
    ours, changed = (method.adapt_to(given[0])(query[0]) for given in (support, other))
    assert (ours[:, 0] - changed[:, 0]).abs().max() > 1e-6


def test_accuracy_of_tasks_is_that_of_each_on_its_own(make_small, make_episodes) -> None:
    method, episodes = made("prototypical", make_small()).float(), make_episodes(rotations=True)
    labels = np.array([f"class {code}" for code in episodes.codes])
    tasks = sample_episodes(labels, 5, 2, 3, 6, 0)
    got = task_accuracies(method, episodes, tasks, MEAN, STD)
    for t in range(len(tasks)):
        given, asked = (
            as_input(episodes.at(rows), MEAN, STD)
            for rows in (tasks.support[t].ravel(), tasks.query[t])
        )
        guess = method.adapt_to(given.unflatten(0, (5, 2)))(asked).argmax(dim=1).numpy()
        assert got[t] == pytest.approx((guess == tasks.query_codes[t]).mean())


def test_the_best_state_is_kept(tmp_path: Path, make_small, make_episodes) -> None:
    episodes = make_episodes()
    tasks = sample_episodes(np.array([f"{c}" for c in episodes.codes]), 5, 2, 3, 20, 0)
    look = Validation(episodes, tasks, MEAN, STD, tmp_path)
    good, bad = (made("prototypical", make_small()).float() for _ in "ab")
    with torch.no_grad():
        for part in bad.parameters():
            part.zero_()
    assert look(bad)["validation_accuracy"] < look(good)["validation_accuracy"] == look.best()
    look(bad)
    look.restore(bad)
    assert all(torch.equal(a, b) for a, b in zip(good.parameters(), bad.parameters(), strict=True))
    assert (tmp_path / BEST).is_file()
