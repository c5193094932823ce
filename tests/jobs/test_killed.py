"""A run of `adapt distil` or `adapt contrastive-text` that is killed at any moment ends bit-equal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

from handful import BackboneChoice, fit

Maker = Callable[..., Path]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SCRIPT = (
    "import torch; torch.set_num_threads(1); import handful.adapt.loop as loop\n"
    "loop._CHECKPOINT_SECONDS = 0.0\n"
    "from handful.cli import main\nmain()"
)
COMMON = ["--size", "32", "--budget", "96images", "--batch-size", "8", "--device", "cpu"]


def whole_and_killed(arguments: list[str], images: Path, states: Path) -> list[Path]:
    """Return the folders of a run that went through, and of one that was killed three times."""
    command = [sys.executable, "-c", SCRIPT, "adapt", *arguments, str(images), *COMMON, "-q"]
    one, other = ([*command, "--project", str(states / name)] for name in ("whole", "killed"))
    subprocess.run(one, check=True, stdout=subprocess.DEVNULL)
    random, killed = np.random.default_rng(), 0
    for _ in range(3):
        process = subprocess.Popen(other, stdout=subprocess.DEVNULL)
        try:
            process.wait(random.uniform(4, 16))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    subprocess.run(other, check=True, stdout=subprocess.DEVNULL)
    assert killed
    found = [list((states / name / "runs").glob("adapt-*")) for name in ("whole", "killed")]
    return [folder for (folder,) in found]


def assert_equal(folders: list[Path], *names: str) -> None:
    for name in names:
        contents = [(folder / name).read_bytes() for folder in folders]
        assert contents[0] == contents[1], name


def test_distil(digits: Maker, tmp_path: Path) -> None:
    images = digits(8, classes="01", unlabelled=12)
    teacher = fit(images, tmp_path / "teacher.handful", method="prototypes",
                  backbone=BackboneChoice(size=64), quiet=True).bundle  # fmt: skip
    arguments = ["distil", "--teacher", str(teacher), "--student", "efficientnet_lite0#3",
                 "-o", str(tmp_path / "student.handful")]  # fmt: skip
    folders = whole_and_killed(arguments, images, tmp_path)
    assert_equal(folders, "backbone.onnx")
    facts = [json.loads((folder / "adapt.json").read_text()) for folder in folders]
    assert facts[0]["agreement"] == facts[1]["agreement"]


def test_contrastive_text(digits: Maker, tmp_path: Path) -> None:
    pytest.importorskip("open_clip", reason="needs open_clip_torch")
    images, captions = digits(8, classes="01"), tmp_path / "captions.csv"
    rows = [f"{image.parent.name}/{image.name},the digit {image.parent.name} no {number}"
            for number, image in enumerate(sorted(images.glob("[01]/*.png")))]  # fmt: skip
    captions.write_text("\n".join(["path,caption", *rows]) + "\n")
    arguments = ["contrastive-text", "--captions", str(captions), "--tower", "timm:test_efficientnet",
                 "--scratch", "--dim", "8", "--width", "64", "--layers", "1", "--chunk", "4"]  # fmt: skip
    folders = whole_and_killed(arguments, images, tmp_path)
    assert_equal(folders, "open_clip/open_clip_model.safetensors", "backbone.onnx")
    facts = [json.loads((folder / "adapt.json").read_text()) for folder in folders]
    assert facts[0]["figures"] == facts[1]["figures"]
