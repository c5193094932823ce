"""Claims: MAML with all tasks together is 1.2 times as fast as task by task; a step of ProtoNets costs its encoder.

    python benchmarks/episodic_steps.py
    python benchmarks/episodic_steps.py --rounds 3

Both sides run in one process, in turn, on random 28-pixel images with one thread. MAML: 32 tasks, 5-way 1-shot, one
inner step and two (the default), second order, Conv4 with strides, statistics of the batch; the rival adapts one task
after the other with ``torch.autograd.grad``, all weights in every step. ProtoNets: 60-way 1-shot, 5 queries, against
forward and backward of the encoder alone on the same images. It needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from record import interleaved, ratios, write
from torch.func import functional_call
from torch.nn import functional

from handful.adapt import Maml, Prototypical, Shape, load_network

TASKS, RATE = 32, 0.4


def images(n: int) -> torch.Tensor:
    """Return random images."""
    return torch.randn(n, 3, 28, 28).contiguous(memory_format=torch.channels_last)


def by_task(method: Maml, x: torch.Tensor) -> torch.Tensor:
    """Return MAML's loss, each task adapted on its own."""
    shape, chain, losses = method.shape, method.chain, []
    for given, asked in zip(*shape.parts(x.contiguous()), strict=True):
        weights = dict(chain.named_parameters())
        head = method.head.expand(shape.way, -1)
        bias = torch.zeros(shape.way, requires_grad=True)
        y = torch.arange(shape.way).repeat_interleave(shape.shot)
        for _ in range(method.inner_steps):
            logits = functional_call(chain, weights, (given.flatten(0, 1),)) @ head.T + bias
            loss, moving = functional.cross_entropy(logits, y), [head, bias, *weights.values()]
            found = torch.autograd.grad(loss, moving, create_graph=True)
            head, bias, *rest = (v - RATE * g for v, g in zip(moving, found, strict=True))
            weights = dict(zip(weights, rest, strict=True))
        logits = functional_call(chain, weights, (asked,)) @ head.T + bias
        losses.append(functional.cross_entropy(logits, shape.answers(1)[0]))
    return torch.stack(losses).mean()


def seconds(method: Any, loss: Callable[[], torch.Tensor]) -> float:
    """Return the CPU time of a loss and its gradients."""
    method.zero_grad()
    begin = time.process_time()
    loss().backward()
    return time.process_time() - begin


def gradients(method: Any, loss: Callable[[], torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the gradients of all weights."""
    method.zero_grad()
    loss().backward()
    return {name: p.grad.clone() for name, p in method.named_parameters()}


def maml(rounds: int, steps: int) -> dict[str, Any]:
    """Return how much faster tasks are together, and by how much gradients differ."""
    shape = Shape(5, 1, 1)
    method = Maml(
        load_network("conv4_strides"),
        shape,
        inner_steps=steps,
        inner_rate=RATE,
        batch_norm="transductive",
    )
    torch.nn.init.normal_(method.head, std=0.1)
    method.train()
    x = images(TASKS * shape.images)

    def together() -> torch.Tensor:
        return method((x,), None, None)["loss"]

    def alone() -> torch.Tensor:
        return by_task(method, x)

    ours, theirs = gradients(method, together), gradients(method, alone)
    size = max(float(g.abs().max()) for g in theirs.values())
    differ = max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
    a, b = interleaved(rounds, lambda: seconds(method, together), lambda: seconds(method, alone))
    return {"largest_gradient": size, "largest_difference": differ, "together_seconds": a, "by_task_seconds": b,
            "faster": ratios(b, a), "target": 1.2}  # fmt: skip


def prototypical(rounds: int) -> dict[str, Any]:
    """Return the time of the encoder alone as a share of that of a step."""
    shape = Shape(60, 1, 5)
    method = Prototypical(load_network("conv4"), shape).train()
    x = images(shape.images)
    seconds(method, lambda: method.chain(x).square().mean())
    a, b = interleaved(
        rounds,
        lambda: seconds(method, lambda: method((x,), None, None)["loss"]),
        lambda: seconds(method, lambda: method.chain(x).square().mean()),
    )
    return {"step_seconds": a, "encoder_seconds": b, "share": ratios(b, a), "target": 0.9}


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    figures: dict[str, Any] = {
        "threads": 1, "maml, 1 step": maml(asked.rounds, 1), "maml, 2 steps": maml(asked.rounds, 2),
        "prototypical": prototypical(asked.rounds),
    }  # fmt: skip
    for name, row in figures.items():
        if name != "threads":
            print(name, row.get("faster", row.get("share")), row.get("largest_difference", ""))
    write("episodic_steps", figures, claim=(__doc__ or "").splitlines()[0])


if __name__ == "__main__":
    main()
