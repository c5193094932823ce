from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from handful.adapt.episodic.episodes import Shape  # noqa: E402
from handful.adapt.episodic.evaluation import as_input  # noqa: E402
from handful.adapt.episodic.pmf import TaskFineTuning, tune_on_task  # noqa: E402

MEAN, STD = (0.5,) * 3, (0.25,) * 3


def task(episodes: Any, shot: int) -> tuple[Any, Any]:
    torch.manual_seed(0)
    support, query = Shape(4, shot, 3).parts(episodes.draw(Shape(4, shot, 3)))
    return support[0], as_input(query[0], MEAN, STD)


@pytest.mark.parametrize("shot", [1, 3])
@pytest.mark.parametrize("train", ["last:1", "norm_and_bias", "lora", "all"])
def test_the_network_stays_and_answers_are_the_same_again(
    shot: int, train: str, make_small, make_episodes
) -> None:
    network = make_small()
    support, query = task(make_episodes(), shot)
    before = {key: value.clone() for key, value in network.chain.state_dict().items()}
    how = TaskFineTuning(train=train, steps=3, rates=(1e-2,))
    ours, again = (tune_on_task(network, support, how) for _ in "ab")
    assert ours.rate in ours.tried and 0.0 in ours.tried
    assert torch.equal(ours.logits(query), ours.logits(query))
    assert torch.equal(ours.logits(query), again.logits(query))
    assert all(torch.equal(before[key], value) for key, value in network.chain.state_dict().items())


def test_doing_nothing_gives_the_prototypes_of_the_network(make_small, make_episodes) -> None:
    network, (support, query) = make_small(), task(make_episodes(), 3)
    tuned = tune_on_task(network, support, TaskFineTuning(rates=()))
    with torch.no_grad():
        network.chain.eval()
        means = (
            network.chain(as_input(support.flatten(0, 1), MEAN, STD)).unflatten(0, (4, 3)).mean(1)
        )
        cosine = torch.nn.functional.cosine_similarity(
            network.chain(query)[:, None], means[None], dim=2
        )
    assert tuned.rate == 0 and list(tuned.tried) == [0.0]
    assert torch.allclose(tuned.logits(query), 10 * cosine, atol=1e-4)


def test_a_rate_that_is_better_is_taken(make_small, make_episodes) -> None:
    network, (support, _) = make_small(), task(make_episodes(seed=2), 4)
    with torch.no_grad():
        network.chain[1][0].weight.mul_(0.01)  # so that nothing is told apart at first
        network.chain[1][1].bias.fill_(3.0)
    tuned = tune_on_task(network, support, TaskFineTuning(train="all", rates=(3e-2,), steps=30))
    assert tuned.tried[3e-2] >= tuned.tried[0.0]
    assert (tuned.rate == 3e-2) == (tuned.tried[3e-2] > tuned.tried[0.0])


def test_no_rate_is_tried_after_the_time(make_small, make_episodes) -> None:
    support, _ = task(make_episodes(), 2)
    tuned = tune_on_task(make_small(), support, TaskFineTuning(seconds=1e-9))
    assert tuned.rate == 0 and list(tuned.tried) == [0.0]


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"views": 0}, {"seconds": 0.0}, {"rates": (-1.0,)}]
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        TaskFineTuning(**options)
