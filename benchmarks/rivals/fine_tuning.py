"""Claim: with 10 labels a class a frozen backbone is no worse than fastai's fine-tuning, in a tenth of the time.

    HANDFUL_DATA=... PYTHONPATH=src python benchmarks/rivals/fine_tuning.py --rival /path/to/python [--draws 3]

``--rival`` is the Python of an environment that holds fastai, torch and handful. 100 photos of clothing's training
set, 10 a class, the same for both; both begin with the packaged weights of EfficientNet-Lite0 and see 224 pixels.
``handful.fit`` by its defaults, once with the labels alone and once with 1,000 more photos unlabelled;
``Learner.fine_tune`` by its defaults, augmented, 8 or 30 epochs after a frozen one, with the head that fastai gives a
body and with one linear layer. Tested on clothing's test set. Each
run is a process of its own on one thread.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
LABELS, POOL = 10, 1000
FASTAI = {
    "fastai, 8 epochs, one layer": (8, True),
    "fastai, 30 epochs, one layer": (30, True),
    "fastai, 30 epochs": (30, False),
}


def with_handful(folder: Path, test: list[Path]) -> list[str]:
    """Fit and predict."""
    import handful

    handful.fit(folder, folder / "model.handful", quiet=True)
    rows = handful.predict(folder / "model.handful", test, quiet=True)
    return [row.prediction.label for row in rows]


def with_fastai(folder: Path, test: list[Path], epochs: int, linear: bool) -> list[str]:
    """Fine-tune the packaged weights and predict."""
    from fastai.vision.all import (
        CategoryBlock,
        CrossEntropyLossFlat,
        DataBlock,
        ImageBlock,
        IndexSplitter,
        Learner,
        Normalize,
        Resize,
        aug_transforms,
        create_head,
        get_image_files,
        params,
        parent_label,
    )  # fmt: skip
    from torch import nn

    from handful.adapt import load_network  # the same weights, as torch blocks

    network = load_network()
    normalize = Normalize.from_stats(network.mean, network.std)
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=parent_label,
        splitter=IndexSplitter([0]),
        item_tfms=Resize(256),
        batch_tfms=[*aug_transforms(size=224), normalize],
    )
    loaders = block.dataloaders(folder, bs=16, num_workers=0)
    body, head = network.chain[:-1], create_head(1280, loaders.c)
    if linear:
        body, head = network.chain, nn.Linear(1280, loaders.c)
    model = nn.Sequential(body, head)
    learner = Learner(
        loaders, model, loss_func=CrossEntropyLossFlat(), splitter=lambda m: [params(m[0]), params(m[1])],
    )  # fmt: skip
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs)
        scores, _ = learner.get_preds(dl=loaders.test_dl(test))
    return [str(loaders.vocab[int(row)]) for row in scores.argmax(dim=1)]


def laid_out(folder: Path, number: int, pool: int) -> list[Path]:
    """Copy a draw of labelled photos, and ``pool`` unlabelled ones; return the test photos."""
    from handful.core import stream

    root = Path(os.environ["HANDFUL_DATA"]) / "clothing"
    random = stream(60, f"fastai {number}")
    rest = []
    for source in sorted((root / "train").iterdir()):
        files = sorted(source.iterdir())
        order = random.permutation(len(files))
        (folder / source.name).mkdir(parents=True)
        for row in order[:LABELS]:
            shutil.copy(files[row], folder / source.name)
        rest += [files[row] for row in order[LABELS:]]
    (folder / "unlabelled").mkdir()
    for row in random.permutation(len(rest))[:pool]:
        shutil.copy(rest[row], folder / "unlabelled")
    if not pool:
        (folder / "unlabelled").rmdir()
    return sorted((root / "test").rglob("*.jpg"))


def cell(name: str, number: int) -> None:
    """Print one run as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "photos"
        test = laid_out(images, number, POOL if "unlabelled" in name else 0)
        cpu, start = time.process_time(), time.perf_counter()
        rival = FASTAI.get(name)
        found = with_fastai(images, test, *rival) if rival else with_handful(images, test)
    print(
        json.dumps(
            {
                "right": sum(
                    label == path.parent.name for label, path in zip(found, test, strict=True)
                ),
                "of": len(test),
                "cpu_seconds": round(time.process_time() - cpu, 1),
                "seconds": round(time.perf_counter() - start, 1),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


def main() -> None:
    """Do the runs that are missing and write the table."""
    if sys.argv[1:2] == ["--cell"]:
        return cell(sys.argv[2], int(sys.argv[3]))
    import record

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rival", required=True)
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    path = record.RESULTS / "rivals_fine_tuning.json"
    runs: dict[str, Any] = json.loads(path.read_text())["runs"] if path.exists() else {}
    pythons = {
        "handful": sys.executable,
        "handful, 1,000 unlabelled": sys.executable,
        **dict.fromkeys(FASTAI, options.rival),
    }
    for number in range(options.draws):
        for name, python in pythons.items():
            done = runs.setdefault(name, {})
            if str(number) in done:
                continue
            command = [python, __file__, "--cell", name, str(number)]
            out = subprocess.run(command, check=True, capture_output=True, text=True)
            done[str(number)] = json.loads(out.stdout.splitlines()[-1])
            print(name, number, done[str(number)], flush=True)
            figures = {"runs": runs, "statements": statements(), "labels_a_class": LABELS}
            record.write(
                "rivals_fine_tuning", figures, seed=60, claim=__doc__.splitlines()[0], script="rivals/fine_tuning"
            )  # fmt: skip
    return None


def statements() -> dict[str, int]:
    """Return how many statements a user writes."""
    found = {}
    for name, function in (("handful", with_handful), ("fastai", with_fastai)):
        tree = ast.parse(inspect.getsource(function))
        found[name] = (
            sum(isinstance(node, ast.stmt) for node in ast.walk(tree)) - 2
        )  # head, docstring
    return found


if __name__ == "__main__":
    main()
