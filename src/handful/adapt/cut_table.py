"""The table of the cut report and the sentence a person needs, from hits on test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.core import Array, Estimate, Int
from handful.measure import paired_interval, wilson_of_share

TRANSFER, RETRAINED = "AnB", "AnB+"  # Yosinski's names; A is the pretrained network
SELF, SELF_RETRAINED = "BnB", "BnB+"
PROBE, BASE = "probe", "base"
MEANING = {
    TRANSFER: "pretrained blocks frozen, those above trained anew",
    RETRAINED: "pretrained blocks trained on, those above trained anew",
    SELF: "the task's own blocks frozen, those above trained anew",
    SELF_RETRAINED: "the task's own blocks trained on, those above trained anew",
    PROBE: "linear probe on the pooled vectors of the block, nothing trained",
    BASE: "the pretrained network fine-tuned on the task, from which BnB takes its blocks",
}
Hits = Mapping[tuple[str, int], Sequence[Array]]  # (arm, blocks kept) -> a bool array a task


@dataclass(frozen=True)
class CutRow:
    """The accuracy of one arm at one cut.

    Parameters
    ----------
    arm : str
        A key of ``MEANING``.
    kept : int
        Number of blocks below the cut, counted from the input.
    accuracy : Estimate
    """

    arm: str
    kept: int
    accuracy: Estimate


@dataclass(frozen=True)
class CutReport:
    """Where to cut a network for the user's images.

    Parameters
    ----------
    rows : tuple of CutRow
        By arm, then by blocks kept.
    n_blocks : int
        Of the network, without its pool.
    keep : int
        The advice: how many blocks to keep as they are.
    sentence : str
        The advice in words, with its intervals.
    retraining : Estimate
        Gain of training the kept blocks on as well (AnB+ minus AnB).
    control : Estimate
        What training the blocks above the cut anew costs when the kept ones are
        the task's own (BnB minus its base): loss that no transfer caused.
    steps : int
        Training steps of each cell.
    n_runs : int
        Class halves times splits that were averaged.
    """

    rows: tuple[CutRow, ...]
    n_blocks: int
    keep: int
    sentence: str
    retraining: Estimate
    control: Estimate
    steps: int
    n_runs: int

    def curve(self, arm: str) -> list[tuple[int, Estimate]]:
        """Return blocks kept and accuracy of one arm."""
        return [(row.kept, row.accuracy) for row in self.rows if row.arm == arm]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "sentence": self.sentence, "keep": self.keep, "n_blocks": self.n_blocks, "steps": self.steps,
            "runs": self.n_runs, "retraining": self.retraining.as_dict(), "control": self.control.as_dict(),
            "arms": MEANING,
            "rows": [{"arm": r.arm, "kept": r.kept, "accuracy": r.accuracy.as_dict()} for r in self.rows],
        }  # fmt: skip


@dataclass(frozen=True)
class _Table:
    """Hits by cell, and which images they are of."""

    hits: Hits
    tests: Sequence[Int]  # rows of the images, a task each
    inflation: float  # 1 + test images / training images

    def per_image(self, values: Sequence[Array]) -> Array:
        """Return the mean over tasks of each distinct image's values."""
        rows = np.concatenate(self.tests)
        distinct, place = np.unique(rows, return_inverse=True)
        sums = np.zeros(len(distinct))
        np.add.at(sums, place, np.concatenate(values).astype(float))
        return sums / np.bincount(place)

    def accuracy(self, cell: tuple[str, int]) -> Estimate:
        means = self.per_image(self.hits[cell])
        value = float(means.mean())
        low, high = wilson_of_share(value, len(means))
        how = f"mean of {len(self.tests)} runs, Wilson interval of the distinct images"
        return Estimate(value, low, high, len(means), "accuracy", how)

    def difference(self, cell: tuple[str, int], other: tuple[str, int], *, of: int = 1) -> Estimate:
        """Return the paired difference, its interval widened for the best ``of`` several (Bonferroni)."""
        pairs = zip(self.hits[cell], self.hits[other], strict=True)
        differences = self.per_image([a.astype(float) - b.astype(float) for a, b in pairs])
        confidence = 1 - 0.05 / of
        value, low, high = paired_interval(
            differences, inflation=self.inflation, confidence=confidence
        )
        what = f"accuracy of {_name(cell)} minus {_name(other)}"
        how = f"same images, mean of {len(self.tests)} runs"
        return Estimate(value, low, high, len(differences), what, how, confidence)


def table(
    hits: Hits, tests: Sequence[Int], *, n_train: int, n_blocks: int, steps: int
) -> CutReport:
    """Return the report of finished cells.

    Of the cuts that cannot be told from the best one (paired interval of the
    transferred, frozen arm), the one that keeps most blocks is advised: it is
    the cheapest to train and has the least to overfit with.

    Parameters
    ----------
    hits : mapping
        For each (arm, blocks kept) the bool array of every task, True where
        the answer was right.
    tests : sequence of ndarray
        The rows of the images, a task each.
    n_train : int
        Training images of a task.
    n_blocks, steps : int
    """
    n_test = float(np.mean([len(rows) for rows in tests]))
    own = _Table(hits, tests, 1 + n_test / n_train)
    rows = tuple(
        CutRow(arm, kept, own.accuracy((arm, kept))) for arm, kept in sorted(hits, key=_order)
    )
    cuts = sorted(kept for arm, kept in hits if arm == TRANSFER)
    best = max(cuts, key=lambda kept: (float(own.per_image(hits[TRANSFER, kept]).mean()), kept))
    tied = [k for k in cuts if own.difference((TRANSFER, k), (TRANSFER, best)).high >= 0]
    keep = max(tied)
    retraining = own.difference((RETRAINED, keep), (TRANSFER, keep))
    control = own.difference((SELF, keep), (BASE, n_blocks))
    all_tied = len(tied) == len(cuts) > 1
    sentence = " ".join([
        _advice(own, keep, n_blocks, all_tied), _retrained(retraining), _controlled(control), *_probed(own),
    ])  # fmt: skip
    return CutReport(rows, n_blocks, keep, sentence, retraining, control, steps, len(tests))


def _advice(own: _Table, keep: int, n_blocks: int, all_tied: bool) -> str:
    reached = own.accuracy((TRANSFER, keep)).percent
    what = f"Keep blocks 1–{keep} as they are" if keep > 1 else "Keep block 1 as it is"
    rest = "train the blocks above anew" if keep < n_blocks else "train the head alone"
    if all_tied:
        return (
            f"No difference between the cuts can be shown on these images. {what} and {rest}, which is "
            f"the cheapest: {reached}."
        )
    fewer = [k for arm, k in own.hits if arm == TRANSFER and k < keep]
    lost = [own.difference((TRANSFER, k), (TRANSFER, keep)) for k in sorted(fewer)]
    shown = [k for k, loss in zip(sorted(fewer), lost, strict=True) if loss.high < 0]
    less = f" Keeping {max(shown)} or fewer is worse." if shown else ""
    return f"{what} and {rest}: {reached}.{less}"


def _retrained(gain: Estimate) -> str:
    if gain.low > 0:
        return f"Then let the kept blocks train on as well: {_points(gain)}."
    if gain.high < 0:
        return f"Do not train the kept blocks on: {_points(gain)}."
    return f"That training the kept blocks on helps cannot be shown: {_points(gain)}."


def _controlled(loss: Estimate) -> str:
    if loss.high < 0:
        return (
            f"With the task's own blocks, training those above anew costs {_points(loss)}: "
            "so much of any loss is not due to the transfer."
        )
    return f"With the task's own blocks, training those above anew costs nothing that can be shown: {_points(loss)}."


def _probed(own: _Table) -> list[str]:
    """Return the sentence on the cheap arm: whether a block's vectors beat the last one's."""
    accuracies = {k: own.accuracy((PROBE, k)).value for arm, k in own.hits if arm == PROBE}
    if not accuracies:
        return []
    last, best = max(accuracies), max(accuracies, key=lambda k: (accuracies[k], k))
    reached = own.accuracy((PROBE, last)).percent
    text = f"With nothing trained, a linear probe on the last block's vectors has {reached}"
    gain = own.difference((PROBE, best), (PROBE, last), of=max(1, len(accuracies) - 1))
    if gain.low > 0:
        return [f"{text}, and on those of block {best} {_points(gain)}."]
    return [f"{text}; that another block's are better cannot be shown."]


def _points(difference: Estimate) -> str:
    low, high = (f"{100 * value:+.1f}" for value in (difference.low, difference.high))
    return f"{100 * difference.value:+.1f} points ({low} to {high})"


def _name(cell: tuple[str, int]) -> str:
    return cell[0] if cell[0] == BASE else f"{cell[0]} with {cell[1]} blocks"


def _order(cell: tuple[str, int]) -> tuple[int, int]:
    return list(MEANING).index(cell[0]), cell[1]
