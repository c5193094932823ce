"""Collect what was measured against rivals, here and in the other benchmarks, into one table: ``results/rivals.json``.

    python benchmarks/rivals/summary.py

Nothing is measured here. A row says the rival, the task, both figures, and who is ahead: nobody, where the interval of
the difference (or the range of the pairs' ratios) holds equality. Rows whose benchmark has no result are left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1]))
import record

Row = dict[str, str]


def row(rival: str, task: str, ours: str, theirs: str, ahead: str, source: str) -> Row:
    """Return a row; ``ahead`` is ours, theirs or nobody."""
    return {
        "rival": rival,
        "task": task,
        "ours": ours,
        "theirs": theirs,
        "ahead": ahead,
        "source": source,
    }


def who(low: float, high: float, equal: float) -> str:
    """Return who is ahead where an interval of ours less, or over, theirs is known."""
    return "ours" if low > equal else "theirs" if high < equal else "nobody"


def timm(figures: dict[str, Any]) -> Iterator[Row]:
    """Return features of photos."""
    rates = {name: np.median(values) for name, values in figures["images_per_second"].items()}
    ratio = figures["ratio_to_timm"]
    yield row(
        "timm, eager with a DataLoader", "features, images/s", f"{rates['handful']:.0f}",
        f"{rates['timm eager, DataLoader']:.0f}", who(ratio["low"], ratio["high"], 1), "embedding",
    )  # fmt: skip


def lightly(figures: dict[str, Any]) -> Iterator[Row]:
    """Return an epoch of SimCLR."""
    ratio = figures["times_faster"]
    ours, theirs = (np.median(figures[f"{name}_seconds"]) for name in ("handful", "lightly"))
    yield row(
        "lightly's SimCLR example", "an epoch, seconds", f"{ours:.1f}", f"{theirs:.1f}",
        who(ratio["low"], ratio["high"], 1), "simclr_epoch",
    )  # fmt: skip


def scikit_learn(figures: dict[str, Any]) -> Iterator[Row]:
    """Return classifiers that learn from a pool."""
    for theirs, seconds in figures["cost"].items():
        if not theirs.startswith("scikit-learn"):
            continue
        ours = figures["cost"]["SpreadingProbe"]["cpu_seconds"]
        yield row(
            theirs, "a fit on 25,000 unlabelled vectors, CPU seconds", f"{ours:.0f}",
            f"{seconds['cpu_seconds']:.0f}", "ours", "semisupervised_vectors",
        )  # fmt: skip
        for labels, places in figures["gain"].items():
            mine, other = (places["pool"][name]["mean"] for name in ("SpreadingProbe", theirs))
            ahead = (
                "ours"
                if mine["low"] > other["high"]
                else "theirs"
                if mine["high"] < other["low"]
                else "nobody"
            )
            yield row(
                theirs, f"points over a probe, {labels} labels a class", f"{mine['mean']:+.1f}",
                f"{other['mean']:+.1f}", ahead, "semisupervised_vectors",
            )  # fmt: skip


def tuned_regression(figures: dict[str, Any]) -> Iterator[Row]:
    """Return a linear classifier on few labels."""
    theirs = "LogisticRegressionCV"
    for labels in ("2", "5", "10"):
        found = figures["labels a class"][labels]["mean"]
        gap = found["LinearProbe minus"][theirs]
        yield row(
            f"scikit-learn {theirs}", f"{labels} labels a class, mean of four sets, %",
            f"{found['accuracy']['LinearProbe']['mean']:.1f}", f"{found['accuracy'][theirs]['mean']:.1f}",
            who(gap["low"], gap["high"], 0), "linear_probe",
        )  # fmt: skip
    ours, other = (np.median(figures["speed"]["seconds"][name]) for name in ("LinearProbe", theirs))
    yield row(
        f"scikit-learn {theirs}", "a fit on 1,000 vectors, seconds", f"{ours:.2f}", f"{other:.2f}", "ours",
            "linear_probe",
    )  # fmt: skip


def usb(figures: dict[str, Any]) -> Iterator[Row]:
    """Return published figures of networks that were trained for hours on a GPU."""
    best = {"20": 95.0, "40": 96.3}
    for labels, theirs in best.items():
        ours = 100 * figures[f"{labels} labels"]["spreading_probe"]["mean"]
        yield row(
            "USB's best, published (ViT-S, GPU)", f"EuroSAT with {labels} labels, %", f"{ours:.1f}", f"{theirs:.1f}",
            "theirs", "eurosat_usb",
        )  # fmt: skip


def scikit_activeml(figures: dict[str, Any]) -> Iterator[Row]:
    """Return a query over 100,000 vectors."""
    for name, cell in figures["cells"].items():
        theirs = cell.get("scikit-activeml")
        if theirs:
            shown = f"{theirs['seconds']:.3g}" if "seconds" in theirs else theirs["failed"][:60]
            if "allocate" in shown or "Memory" in shown:
                shown = "out of memory"
            yield row(
                "scikit-activeml", f"{name}, seconds", f"{cell['ours']['seconds']:.3g}", shown, "ours", "select_speed"
            )  # fmt: skip


def easyfsl(figures: dict[str, Any]) -> Iterator[Row]:
    """Return tasks a second."""
    speeds = figures["tasks_a_second"]
    ratio = figures["times_faster"]["first call"]["wall"]
    yield row(
        "a DataLoader loop in easyfsl's style", "5-way tasks/s, from nothing",
        f"{np.median(speeds['first call']['wall']):,.0f}", f"{np.median(speeds['task by task']['wall']):,.0f}",
        who(ratio["low"], ratio["high"], 1), "episodes_speed",
    )  # fmt: skip


def fastai(figures: dict[str, Any]) -> Iterator[Row]:
    """Return fine-tuning with 10 labels a class."""
    runs = {name: list(by_draw.values()) for name, by_draw in figures["runs"].items()}
    right = {name: np.array([r["right"] / r["of"] for r in found]) for name, found in runs.items()}
    cost = {name: [np.median([r[key] for r in found]) for key in ("cpu_seconds", "peak_mb")]
            for name, found in runs.items()}  # fmt: skip
    theirs = [name for name in runs if name.startswith("fastai")]
    for other in theirs:
        for name in ("handful", "handful, 1,000 unlabelled"):
            n = min(len(right[name]), len(right[other]))
            gap = 100 * (right[name][:n] - right[other][:n])
            t = stats.t.ppf(0.975, n - 1) if n > 1 else np.inf
            half = t * gap.std(ddof=1) / n**0.5 if n > 1 else np.inf
            yield row(
                other, f"clothing, {figures['labels_a_class']} labels a class, % ({name})",
                f"{100 * right[name][:n].mean():.1f}", f"{100 * right[other][:n].mean():.1f}",
                who(gap.mean() - half, gap.mean() + half, 0), "rivals_fine_tuning",
            )  # fmt: skip
            for place, what in enumerate(("CPU seconds", "MB")):
                ours, cost_of = cost[name][place], cost[other][place]
                yield row(
                    other, f"the same, {what}", f"{ours:.0f}", f"{cost_of:.0f}",
                    "ours" if ours < cost_of else "theirs", "rivals_fine_tuning",
                )  # fmt: skip
    lines = figures["statements"]
    yield row(
        theirs[0], "the same, statements of Python", str(lines["handful"]), str(lines["fastai"]), "ours",
        "rivals_fine_tuning",
    )  # fmt: skip


def setfit(figures: dict[str, Any]) -> Iterator[Row]:
    """Return a contrastive head on frozen vectors."""
    for labels, found in figures["table"].items():
        gap, theirs = found["difference"], found["SetFit's recipe"]
        yield row(
            "SetFit's recipe on vectors", f"{labels} labels a class, mean of four sets, %",
            f"{found['LinearProbe']:.1f}", f"{theirs:.1f}",
            who(gap["low"], gap["high"], 0), "rivals_contrastive_head",
        )  # fmt: skip


def open_clip(figures: dict[str, Any]) -> Iterator[Row]:
    """Return embedding with an image-text model."""
    rates = {name: np.median(values) for name, values in figures["images_per_second"].items()}
    ratio = figures["times_faster"]
    yield row(
        "open_clip, eager with a DataLoader", f"{figures['model']}, images/s", f"{rates['handful']:.1f}",
        f"{rates['open_clip']:.1f}", who(ratio["low"], ratio["high"], 1), "rivals_open_clip_speed",
    )  # fmt: skip


def usearch(figures: dict[str, Any]) -> Iterator[Row]:
    """Return the neighbours of all among many near-duplicates."""
    ours, theirs = (figures["cells"][stage] for stage in ("neighbours", "usearch"))
    for n in sorted(ours.keys() & theirs.keys(), key=int):
        one, other = ours[n], theirs[n]
        for what, key, sign in (("recall", "recall", 1), ("CPU seconds", "cpu_seconds", -1)):
            gap = sign * (one[key] - other[key])
            ahead = who(gap - 0.005, gap + 0.005, 0)
            yield row(
                "usearch (HNSW, 8 bits)", f"15 neighbours of each of {int(n):,}, {what}",
                f"{one[key]:,.4g}", f"{other[key]:,.4g}", ahead, "scale",
            )  # fmt: skip


SOURCES: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "embedding": timm,
    "simclr_epoch": lightly,
    "linear_probe": tuned_regression,
    "semisupervised_vectors": scikit_learn,
    "eurosat_usb": usb,
    "select_speed": scikit_activeml,
    "episodes_speed": easyfsl,
    "rivals_fine_tuning": fastai,
    "rivals_contrastive_head": setfit,
    "rivals_open_clip_speed": open_clip,
    "scale": usearch,
}


def main() -> None:
    """Write the rows."""
    rows = []
    for name, rows_of in SOURCES.items():
        path = record.RESULTS / f"{name}.json"
        if path.exists():
            rows += rows_of(json.loads(path.read_text(encoding="utf-8")))
    record.write(
        "rivals", {"rows": rows}, claim="What was measured against rivals", script="rivals/summary"
    )
    print(
        len(rows), "rows;", {a: sum(r["ahead"] == a for r in rows) for a in ("ours", "theirs", "nobody")}
    )  # fmt: skip


if __name__ == "__main__":
    main()
