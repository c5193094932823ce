"""Training on tasks as a person does it: a folder, a command, a backbone."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from handful.cli import main
from handful.core import AdaptError
from handful.jobs.episodic_classes import class_roles
from handful.project import Image as Known

if importlib.util.find_spec("lightning_fabric") is None:
    pytest.skip("needs the train extra", allow_module_level=True)


def patterns(folder: Path, splits: dict[str, str], *, n: int = 8, seed: int = 0) -> Path:
    """Write images of classes, a coarse pattern each with noise; ``splits`` says where the classes lie."""
    random = np.random.default_rng(seed)
    for split, names in splits.items():
        for name in names:
            pattern = random.integers(0, 200, (4, 4, 3)).repeat(5, 0).repeat(5, 1)
            for i in range(n):
                path = folder / split / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                noisy = pattern + random.integers(0, 55, pattern.shape)
                Image.fromarray(noisy.astype(np.uint8)).save(path)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def tiny(folder: Path, *more: object, method: str = "prototypical") -> list[object]:
    return ["adapt", method, folder, "--way", 4, "--shot", 1, "--query", 3, "--size", 16, "--steps", 6,
            "--device", "cpu", "-q", *more]  # fmt: skip


@pytest.mark.slow
def test_from_a_folder_to_a_backbone_that_fits_new_classes(tmp_path: Path) -> None:
    known = patterns(tmp_path / "known", {"train": "abcdef", "validation": "ghijkl"})
    done = run(*tiny(known, "--validation-way", 3, "--json", "--anyway"))
    assert done.exit_code == 0, done.output
    facts = json.loads(done.output)
    assert set(facts["classes"]["train"]) == set("abcdef")
    assert not set(facts["classes"]["choose"]) & set(facts["classes"]["measure"])
    record = json.loads((Path(facts["run"]) / "backbone.json").read_text())
    assert "classes: a; b; c" in json.dumps(record)
    new = patterns(tmp_path / "new", {"": "uvw"}, seed=9)
    done = run("fit", new, "--backbone", facts["run"], "-q", "-o", tmp_path / "m.handful")
    assert done.exit_code == 0, done.output
    done = run("predict", tmp_path / "m.handful", new / "u", "--format", "csv")
    assert done.output.count(",u,") >= 7
    done = run("episodes", known, "--backbone", facts["run"], "-q")
    assert done.exit_code == 1 and "saw the labels" in done.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "more"),
    [("prototypical", ()), ("maml", ("--inner-steps", 1))],  # one of each kind: a minute each
)
def test_killed_runs_end_bit_equal(method: str, more: tuple[object, ...], tmp_path: Path) -> None:
    known = patterns(tmp_path / "known", {"": "abcdefghij"})
    program = "from handful.cli import main; main()"
    command = [str(part) for part in tiny(known, "--anyway", *more, method=method)]
    command[command.index("--steps") + 1] = "16"

    def start(state: str) -> subprocess.Popen[bytes]:
        own = [sys.executable, "-c", program, *command, "--project", str(tmp_path / state)]
        return subprocess.Popen(own, env={**os.environ, "OMP_NUM_THREADS": "1"})

    assert start("whole").wait() == 0
    killed = start("part")
    while not list((tmp_path / "part").glob("runs/*/best.safetensors")):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert start("part").wait() == 0
    a, b = (next((tmp_path / s).glob("runs/*/network.safetensors")) for s in ("whole", "part"))
    assert a.read_bytes() == b.read_bytes()


@pytest.mark.parametrize(
    ("classes", "more", "said"),
    [
        ("abc", (), "needs four classes"),
        ("abcde", (), "4-way tasks need 4 classes to train on. Got 3"),
        ("abcdef", ("--query", 9), "too few have"),
    ],
)
def test_too_little_to_train_on_is_said(
    classes: str, more: tuple[object, ...], said: str, tmp_path: Path
) -> None:
    done = run(*tiny(patterns(tmp_path, {"": classes}), *more))
    assert done.exit_code == 1
    assert said in done.output


def known(label: str, split: str | None, i: int) -> Known:
    return Known(f"{label}{i}", Path("x"), "x", (), split, None, label, "imported")


def test_validation_classes_are_never_trained_on() -> None:
    images = [known(c, None, i) for c in "abcdefghijklmnopqrst" for i in range(2)]
    roles = class_roles(images, share=0.2, way=5, random_state=0)
    assert len(roles.choose) == 4 and roles.choose == roles.measure
    assert not set(roles.train) & set(roles.choose)
    ordinary = [*images, *(known(c, "validation", 3) for c in "abcd")]  # the same classes in both
    assert class_roles(ordinary, share=0.2, way=5, random_state=0) == roles
    split = [*images, *(known(c, "validation", 0) for c in "UVWXYZ")]
    roles = class_roles(split, share=0.2, way=3, random_state=0)
    assert set(roles.choose) | set(roles.measure) == set("UVWXYZ")
    assert not set(roles.choose) & set(roles.measure)
    with pytest.raises(AdaptError, match="outside the validation split"):
        class_roles(split[38:], share=0.2, way=3, random_state=0)
