"""Write what plans gave on image sets into the table that `handful.advise` forecasts from.

    python benchmarks/evidence.py

Reads the results of other benchmarks (``advise.py`` for plans on vectors; fine-tuning, going on without labels,
distilling and semi-supervised learning where they were run) and writes ``src/handful/advise/evidence.json``. Every
row names its image set and its result file, so that the rows of a set can be left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import record

from handful.advise import kind_of

OUT = Path(__file__).parents[1] / "src" / "handful" / "advise" / "evidence.json"
N_CLASSES = {"clothing": 10, "eurosat": 10, "trashnet": 6, "digits": 10}
ALL_OF_CLOTHING = 307  # training images a class
ON_VECTORS = ("prototypes", "semi_supervised", "names_and_labels")

Row = dict[str, Any]


def row(
    source: str, image_set: str, plan: str, labels: float, accuracy: float, probe: float,
    **more: Any,
) -> Row:  # fmt: skip
    """Return one row; accuracies in percent."""
    return {
        "image_set": image_set, "plan": plan, "labels": labels, "classes": N_CLASSES[image_set],
        "accuracy": round(accuracy / 100, 4), "probe": round(probe / 100, 4), "source": source, **more,
    }  # fmt: skip


def situations(found: dict[str, Any]) -> Iterator[Row]:
    """Yield the plans on vectors of every simulated situation with labels."""
    for case in found["situations"]:
        for plan in ON_VECTORS:
            if plan in case["truth"]:
                names = {"names": case["names"]} if plan == "names_and_labels" else {}
                yield row(
                    "advise", case["set"], kind_of(plan, pool=case["pool"]), case["labels"],
                    100 * case["truth"][plan], 100 * case["truth"]["probe"], **names,
                )  # fmt: skip


def finetune_few(found: dict[str, Any]) -> Iterator[Row]:
    """Yield fine-tuning at 20 labels a class."""
    minutes = round(found["cpu_seconds"]["default"] / 60, 1)
    for name, methods in found["sets"].items():
        tuned, probe = methods["default"]["accuracy"], methods["linear probe"]["accuracy"]
        labels = found["labels_a_class"]
        yield row("finetune_few", name, "finetune", labels, tuned, probe, minutes=minutes)


def finetune_all(found: dict[str, Any]) -> Iterator[Row]:
    """Yield fine-tuning on all of clothing."""
    tuned, probe = (100 * found[name]["value"] for name in ("default", "probe"))
    minutes = round(found["cpu_seconds"] / 60, 1)
    yield row(
        "finetune_all", "clothing", "finetune", ALL_OF_CLOTHING, tuned, probe, minutes=minutes
    )


def continued(found: dict[str, Any]) -> Iterator[Row]:
    """Yield going on without labels, then a probe, both at the side that `handful fit` uses."""
    for name, own in found["sets"].items():
        after, before = own["continued"]["mean"], own["frozen"]["mean"]
        labels, minutes = found["labels_a_class"], own["cpu_minutes"]
        yield row(
            "continued_as_used", name, "self_supervised", labels, after, before, minutes=minutes
        )
        pooled = own["spreading"]["mean"]
        yield row("continued_as_used", name, "semi_supervised", labels, pooled, before)


def distilled(found: dict[str, Any]) -> Iterator[Row]:
    """Yield a student beside the linear probe that taught it."""
    after, before = (100 * found[name]["value"] for name in ("after", "before"))
    name, labels = found["settings"]["set"].partition("/")[0], int(found["settings"]["labels"])
    yield row(f"distil_{name}", name, "distil", labels, after, before)


def semisupervised_networks(found: dict[str, Any]) -> Iterator[Row]:
    """Yield fine-tuning and the spreading probe beside the probe."""
    table, name, labels = found["table"], found["set"], found["labels"]
    probe = table["linear probe"]["accuracy"]["mean"]
    for method, plan in (("fine-tuned", "finetune"), ("spreading probe", "semi_supervised")):
        accuracy = table[method]["accuracy"]["mean"]
        minutes = round(sum(table[method]["cpu_seconds"]) / 60, 1)
        spent = {"minutes": minutes} if plan == "finetune" else {}
        yield row("semisupervised_networks", name, plan, labels, accuracy, probe, **spent)


def semisupervised_vectors(found: dict[str, Any]) -> Iterator[Row]:
    """Yield the spreading probe, the mean over draws."""
    for labels, places in found["gain"].items():
        methods = places["pool"]
        for name in N_CLASSES:
            accuracy, probe = (
                methods[method]["accuracy"][name] for method in ("SpreadingProbe", "LinearProbe")
            )
            yield row(
                "semisupervised_vectors", name, "semi_supervised", int(labels), accuracy, probe
            )


SOURCES = {
    "advise": situations,
    "semisupervised_vectors": semisupervised_vectors,
    "finetune_few": finetune_few,
    "finetune_all": finetune_all,
    "semisupervised_networks": semisupervised_networks,
    "continued_as_used": continued,
    **{f"distil_{name}": distilled for name in ("clothing", "eurosat", "trashnet")},
}


def rows() -> list[Row]:
    """Return the rows of all results that there are."""
    files = {name: record.RESULTS / f"{name}.json" for name in SOURCES}
    there = {name: path for name, path in files.items() if path.is_file()}
    return [
        each
        for name, path in there.items()
        for each in SOURCES[name](json.loads(path.read_text(encoding="utf-8")))
    ]


def write() -> None:
    """Write the packaged table, one row a line."""
    lines = ",\n".join(json.dumps(each) for each in rows())
    OUT.write_text('{"rows": [\n' + lines + "\n]}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
