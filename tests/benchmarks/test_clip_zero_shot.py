"""The evaluation script from a weights file to intervals, with a random ViT-B/32."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
open_clip = pytest.importorskip("open_clip", reason="needs the extra 'clip'")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "clip_zero_shot.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_random_vit_b_32_is_evaluated_end_to_end(
    digits: Callable[..., Path], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    images, weights = digits(3, classes="012"), tmp_path / "vit-b-32.safetensors"
    save_file(open_clip.create_model("ViT-B-32").state_dict(), weights)
    command = [sys.executable, str(SCRIPT), "--images", str(images), "--backbone", "clip:ViT-B-32", "--weights",
               str(weights), "--state", str(tmp_path / "state"), "--templates", "7"]  # fmt: skip
    environment = {**os.environ, "HANDFUL_CACHE": str(tmp_path / "cache")}
    first, again = (
        subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        for _ in range(2)
    )
    assert first == again
    figures = json.loads(first)
    assert figures["classes"] == 3 and figures["logit_bias"] is None
    assert figures["logit_scale"] == pytest.approx(1 / 0.07, rel=1e-4)
    assert figures["top_1"]["n"] == 9 and figures["top_3"]["value"] == 1
    assert figures["top_1"]["low"] <= figures["top_1"]["value"] <= figures["top_1"]["high"]
