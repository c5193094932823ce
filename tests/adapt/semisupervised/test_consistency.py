"""The trainer of all consistency variants: its loss, its views, what it reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("lightning_fabric", reason="needs the train extra")

from torch.nn import functional  # noqa: E402

from handful.adapt.feeding import collate  # noqa: E402
from handful.adapt.semisupervised.consistency import Agreement, Consistency, Marked  # noqa: E402
from handful.adapt.semisupervised.variants import VARIANTS  # noqa: E402
from handful.core import AdaptError  # noqa: E402

TARGETS = np.array([0, 1, 1, -1, -1, -1, -1, -1])


def build(small: Any, variant: str, **options: Any) -> Consistency:
    network = small.network("cnn")
    random = np.random.default_rng(0)
    start = (random.normal(size=(2, 32)).astype(np.float32) * 3, np.zeros(2, np.float32))
    how = Agreement(variant, **options)
    method = Consistency(network, targets=TARGETS, size=32, how=how, start=start)
    method.after_step(0.5)
    return method


def batch(method: Consistency, small: Any) -> tuple[Any, ...]:
    torch.manual_seed(0)
    marked = Marked(small.pictures(len(TARGETS)), TARGETS)
    views, rows = collate([(method.augment(marked[i]), i) for i in range(len(TARGETS))])
    x = tuple((view.float() / 255 - 0.5) / 0.25 for view in views)
    return x, torch.from_numpy(TARGETS), rows


@pytest.mark.parametrize(
    ("variant", "views"),
    [("pseudo-label", [8]), ("mean-teacher", [8, 8]), ("fixmatch", [8, 5]), ("flexmatch", [8, 5]),
     ("freematch", [8, 5]), ("softmatch", [8, 5]), ("adamatch", [8, 8])],
)  # fmt: skip
def test_no_view_is_made_that_nobody_looks_at(variant: str, views: list[int], small: Any) -> None:
    method = build(small, variant)
    x, target, rows = batch(method, small)
    assert [len(view) for view in x] == views
    seen = []
    method.chain.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    loss = method(x, target, rows)["loss"]
    loss.backward()
    assert seen == [8 if variant == "mean-teacher" else sum(views)]  # one pass for all
    assert torch.isfinite(loss) and method.head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_loss_is_that_of_the_paper(variant: str, small: Any) -> None:
    """Written out again from the logits of each view, with the hooks, which have their own tests."""
    method, twin = build(small, variant).eval(), build(small, variant).eval()
    x, target, rows = batch(method, small)
    known = target >= 0
    weak = twin.head(_normalised(twin.chain(x[0])))
    got = method(x, target, rows)["loss"]
    expected = functional.cross_entropy(weak[known], target[known])
    weight = {"pseudo-label": 2.4, "mean-teacher": 100.0, "adamatch": 1.0}.get(variant, 1.0)
    if variant == "mean-teacher":
        taught = twin.teacher[1](_normalised(twin.teacher[0](x[1]))).softmax(1)
        expected = expected + weight * ((weak.softmax(1) - taught) ** 2).mean()
    else:
        strong = twin.head(_normalised(twin.chain(x[1]))) if len(x) > 1 else weak[~known]
        if variant == "adamatch":
            expected = (expected + functional.cross_entropy(strong[known], target[known])) / 2
            strong = strong[~known]
        p, labelled = weak[~known].softmax(1).detach(), weak[known].softmax(1).detach()
        aligned = twin.align(p, labelled) if twin.align else p
        weights = twin.mask(aligned, labelled, rows[~known])
        hard = functional.one_hot(p.argmax(1), 2).float()
        wanted = aligned if variant == "adamatch" else hard
        each = -(wanted * strong.log_softmax(1)).sum(1)
        expected = expected + weight * (
            (weights * each).mean() + twin.mask.penalty(strong, weights)
        )
    torch.testing.assert_close(got, expected)


def _normalised(vectors: Any) -> Any:
    from handful.adapt.finetune import normalised

    return normalised(vectors)


def test_images_that_are_never_confident_are_counted(small: Any) -> None:
    method = build(small, "softmatch")
    with torch.no_grad():
        method.head.weight.zero_()
        method(*batch(method, small))
    counts = {"unlabelled": 5, "never_seen": 0, "never_confident": 5}
    assert method.confidence_counts() == counts
    with torch.no_grad():
        method.head.bias.copy_(torch.tensor([9.0, 0.0]))
        out = method(*batch(method, small))
        method.head.bias.zero_()  # once confident, always counted as such
        method(*batch(method, small))
    assert out["never_confident"] == 0
    assert method.confidence_counts() == {**counts, "never_confident": 0}


def test_the_teacher_follows(small: Any) -> None:
    method = build(small, "mean-teacher")
    with torch.no_grad():
        method.head.weight += 1
    before = method.teacher[1].weight.clone()
    method.after_step(0.1)
    step = 1 - min(1 - 1 / 3, 0.99)
    torch.testing.assert_close(
        method.teacher[1].weight, before + step * (method.head.weight - before)
    )
    assert not any(p.requires_grad for p in method.teacher.parameters())


def test_finish_averages_with_the_start(small: Any) -> None:
    method = build(small, "fixmatch", towards=0.25)
    weight = next(method.chain.parameters())
    before = weight.detach().clone()
    with torch.no_grad():
        weight += 4
    method.finish()
    torch.testing.assert_close(next(method.chain.parameters()).detach(), before + 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"variant": "softmach"}, "did you mean 'softmatch'"), ({"threshold": 1.0}, "threshold"),
     ({"momentum": 1.0}, "momentum"), ({"randaugment": 0}, "randaugment"), ({"towards": 0.0}, "towards")],
)  # fmt: skip
def test_bad_options_are_one_message(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Agreement(**options)


@pytest.mark.parametrize("targets", [[0, 1], [-1, -1]])
def test_both_kinds_of_images_are_needed(targets: list[int], small: Any) -> None:
    with pytest.raises(ValueError, match="with a label and images without"):
        Consistency(small.network("cnn"), targets=np.array(targets), size=32)


def test_a_step_of_one_kind_is_refused(small: Any) -> None:
    method = build(small, "fixmatch")
    x, target, rows = batch(method, small)
    with pytest.raises(AdaptError, match="larger --batch-size"):
        method((x[0][:3],), target[:3], rows[:3])
