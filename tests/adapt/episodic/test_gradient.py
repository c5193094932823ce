"""Tasks that are computed together get what each would get alone."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
from torch.func import functional_call  # noqa: E402
from torch.nn import functional  # noqa: E402

from handful.adapt.episodic.episodes import Shape  # noqa: E402
from handful.adapt.episodic.evaluation import as_input  # noqa: E402
from handful.adapt.episodic.maml import Maml  # noqa: E402
from handful.adapt.episodic.reptile import Reptile  # noqa: E402
from handful.adapt.episodic.task_norm import take_statistics_of  # noqa: E402

MEAN, STD = (0.5,) * 3, (0.25,) * 3
SHAPE, RATE = Shape(3, 1, 2), 0.1


def loss_task_by_task(method: Any, x: Any, *, steps: int, first_order: bool, anil: bool) -> Any:
    """Return the mean loss of tasks, each adapted on its own by autograd."""
    support, query = SHAPE.parts(x)
    take_statistics_of(method.chain, 0)
    method.chain.eval()
    losses = []
    for given, asked in zip(support, query, strict=True):
        weights = dict(method.chain.named_parameters())
        head, bias = method.head.expand(SHAPE.way, -1), torch.zeros(SHAPE.way)
        y = torch.arange(SHAPE.way).repeat_interleave(SHAPE.shot)
        for _ in range(steps):
            logits = functional_call(method.chain, weights, (given.flatten(0, 1),)) @ head.T + bias
            moving = [head, bias] if anil else [head, bias, *weights.values()]
            if not bias.requires_grad:
                bias = bias.requires_grad_()
                logits = (
                    functional_call(method.chain, weights, (given.flatten(0, 1),)) @ head.T + bias
                )
                moving[1] = bias
            found = torch.autograd.grad(
                functional.cross_entropy(logits, y), moving, create_graph=not first_order
            )
            head, bias = head - RATE * found[0], bias - RATE * found[1]
            if not anil:
                weights = {
                    name: value - RATE * g
                    for (name, value), g in zip(weights.items(), found[2:], strict=True)
                }
        logits = functional_call(method.chain, weights, (asked,)) @ head.T + bias
        losses.append(functional.cross_entropy(logits, SHAPE.answers(1)[0]))
    return torch.stack(losses).mean()


@pytest.mark.parametrize(("first_order", "anil"), [(False, False), (True, False), (False, True)])
def test_gradients_are_those_of_a_loop_over_tasks(
    first_order: bool, anil: bool, make_small, make_episodes
) -> None:
    torch.manual_seed(0)
    episodes = make_episodes()
    x = torch.cat([as_input(episodes.draw(SHAPE), MEAN, STD) for _ in range(4)])
    how = {"first_order": first_order, "anil": anil}
    method = Maml(
        make_small(), SHAPE, inner_steps=2, inner_rate=RATE, batch_norm="transductive", **how
    ).train()
    with torch.no_grad():
        method.head.normal_()
    method((x,), None, None)["loss"].backward()
    ours = {name: p.grad.clone() for name, p in method.named_parameters()}
    method.zero_grad()
    loss_task_by_task(method, x, steps=2, **how).backward()
    assert max(g.abs().max() for g in ours.values()) > 1e-3
    for name, p in method.named_parameters():
        assert torch.allclose(ours[name], p.grad, atol=1e-5), name


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_reptile_trains_on_a_task_as_torch_does(optimizer, make_small, make_episodes) -> None:
    torch.manual_seed(0)
    x = as_input(make_episodes().draw(SHAPE), MEAN, STD).unflatten(0, (3, 3))[None]
    x = x.contiguous().double()
    method = Reptile(make_small(), SHAPE, inner_batch=9, inner_optimizer=optimizer).double().train()
    with torch.no_grad():
        method.head.normal_()
        ours = method.trained(x, 4, shuffle=False)
    theirs = torch.nn.Parameter(method.head.detach().expand(3, -1).clone())
    bias = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    given = [*method.chain.parameters(), theirs, bias]
    own = (
        torch.optim.SGD(given, lr=0.4)
        if optimizer == "sgd"
        else torch.optim.Adam(given, lr=1e-3, betas=(0.0, 0.999))
    )
    images = x[0].transpose(0, 1).flatten(0, 1)  # one of each class in turn
    for _ in range(4):
        own.zero_grad()
        scores = method.chain(images) @ theirs.T + bias
        torch.nn.functional.cross_entropy(scores, torch.arange(3).repeat(3)).backward()
        own.step()
    for name, parameter in method.chain.named_parameters():
        assert torch.allclose(ours[name][0], parameter, atol=1e-5), name
    assert torch.allclose(ours["head"][0], theirs, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 3])
def test_reptile_goes_towards_where_training_ends(steps, make_small, make_episodes) -> None:
    torch.manual_seed(0)
    episodes = make_episodes()
    x = torch.cat([as_input(episodes.draw(SHAPE), MEAN, STD) for _ in range(2)])
    method = Reptile(make_small(), SHAPE, inner_steps=steps, inner_batch=4).train()
    torch.manual_seed(1)
    method((x,), None, None)["loss"].backward()
    torch.manual_seed(1)
    with torch.no_grad():
        end = method.trained(x.unflatten(0, (2, 3, 3)).contiguous(), steps, shuffle=True)
    assert torch.allclose(method.head.grad, method.head - end["head"].mean(dim=(0, 1)), atol=1e-6)
    weight = method.chain[0][0].weight
    if steps == 1:  # classes are alike before the first step, which moves the head alone
        assert torch.equal(end["0.0.weight"], weight) and not weight.grad.any()
        return
    assert torch.allclose(weight.grad, weight - end["0.0.weight"].mean(dim=0), atol=1e-6)
    assert weight.grad.abs().max() > 1e-4


def test_transductive_answers_depend_on_what_else_is_asked(make_small, make_episodes) -> None:
    torch.manual_seed(0)
    support, query = SHAPE.parts(as_input(make_episodes().draw(SHAPE), MEAN, STD))
    method = Maml(make_small(), SHAPE, batch_norm="transductive").eval()
    answers = method.adapt_to(support[0])
    assert not torch.allclose(answers(query[0])[:2], answers(query[0][:2]), atol=1e-4)


def test_a_finished_chain_has_running_statistics_of_its_own(make_small, make_episodes) -> None:
    episodes, method = make_episodes(), Maml(make_small(), SHAPE)
    method.finish(episodes, MEAN, STD)
    norm = method.chain[0][1]
    assert norm.running_mean.abs().max() > 1e-3 and not method.training
    x = as_input(episodes.at([0, 1, 2]), MEAN, STD)
    with torch.no_grad():
        assert torch.allclose(method.chain(x)[:1], method.chain(x[:1]), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"batch_norm": "moving"}, "'batch_norm' must be one of"), ({"inner_steps": 0}, "at least 1"),
     ({"inner_rate": 0.0}, "above 0")],
)  # fmt: skip
def test_options_out_of_range_are_refused(options: dict[str, Any], said: str, make_small) -> None:
    with pytest.raises(ValueError, match=said):
        Maml(make_small(), SHAPE, **options)


def test_an_optimizer_that_is_none_is_refused(make_small) -> None:
    with pytest.raises(ValueError, match="'inner_optimizer' of Reptile"):
        Reptile(make_small(), SHAPE, inner_optimizer="adamw")
    with pytest.raises(ValueError, match="'inner_rate' of Reptile"):
        Reptile(make_small(), SHAPE, inner_rate=0.0)
