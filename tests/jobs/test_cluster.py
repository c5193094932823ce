from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from handful import fit
from handful.cli import main
from handful.core import BackboneError, MissingExtraError, StoreError
from handful.jobs import Cluster, cluster, embed_folder, embed_on_ray, predict, predict_on_ray
from handful.jobs.shard_work import EmbedTask

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray's, of itself
    pytest.mark.timeout(600),  # its processes take half a minute to start where cores are busy
]
TWO = Cluster(workers=2, shard_size=8)


def invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_without_the_extra_one_message_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'handful\[cluster\]'"):
        embed_on_ray(str(tmp_path), str(tmp_path / "out"))
    code, output = invoke("embed", tmp_path, "-o", tmp_path / "out", "--engine", "ray")
    assert code == 1 and "needs the package 'ray'" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("embed", "s3://bucket/photos", "-o", "v.npz"), "is not a path on this machine. Add --engine ray"),
        (("embed", ".", "-o", "v.npz", "--workers", "2"), "--workers does not go with --engine local"),
        (("embed", ".", "-o", "v", "--engine", "ray", "--jobs", "2"), "--jobs does not go with --engine ray"),
        (("predict", "m.handful", ".", "--engine", "ray"), "takes one place of images and --output FOLDER"),
        (("predict", "m.handful", ".", "-o", "out"), "takes one place of images and --output FOLDER"),
    ],
)  # fmt: skip
def test_options_that_would_say_nothing_are_refused(
    arguments: tuple[str, ...], message: str
) -> None:
    code, output = invoke(*arguments)
    assert code == 2 and message in " ".join(output.split())


def test_a_gpu_without_its_onnx_runtime_is_named() -> None:
    from handful.backbones import packaged

    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(BackboneError, match="pip install onnxruntime-gpu"):
        EmbedTask(packaged(), Cluster(gpus=0.5).device).start()


@pytest.mark.slow
def test_a_ray_of_its_own_has_a_secret_and_sends_no_statistics() -> None:
    code = (
        "import os; from handful.jobs.cluster import Cluster, _ray\n"
        "try: _ray(Cluster())\n"
        "except ImportError: pass\n"
        "keys = 'RAY_AUTH_MODE', 'RAY_AUTH_TOKEN', 'RAY_USAGE_STATS_ENABLED'\n"
        "print(*map(os.environ.get, keys))"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    command = [sys.executable, "-c", code]
    said = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    mode, token, statistics = said[0].stdout.split()
    assert (mode, len(token), statistics) == ("token", 64, "0")
    assert said[1].stdout.split()[1] != token


def rows(output: Path) -> dict[str, list[Any]]:
    """Return the columns of a folder of shards."""
    parquet = pytest.importorskip("pyarrow.parquet")
    columns: dict[str, list[Any]] = parquet.read_table(output).to_pydict()
    return columns


def workers() -> set[int]:
    """Return the processes of Ray's workers that this process started and that hold a network."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_worker = b"ray::MapWorker" in (entry / "cmdline").read_bytes()
            if is_worker and os.getpid() in ancestors(int(entry.name)):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        stat = Path(f"/proc/{process}/stat").read_text()
        process = int(stat.rpartition(")")[2].split()[1])
        found.append(process)
    return found


def kill_one(output: Path, killed: list[int]) -> None:
    """Kill a worker once the first shard is there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not killed:
        there = workers()
        if there and list(output.glob("*.parquet")):
            victim = min(there)
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds Ray's workers in /proc")
def test_a_worker_killed_midway_costs_nothing(
    tmp_path: Path, digits: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs the cluster extra")
    images = digits(60)
    (images / "bad.jpg").write_bytes(b"no image")
    embed_folder(images, tmp_path / "one.npz", project_dir=tmp_path / "project", quiet=True)
    one = np.load(tmp_path / "one.npz")
    output, killed = tmp_path / "out", []
    killer = threading.Thread(target=kill_one, args=(output, killed))
    killer.start()
    result = embed_on_ray(str(images), str(output), cluster=TWO, quiet=True)
    killer.join()
    assert len(killed) == 1
    assert (result.done, result.made, result.kept) == (120, 16, 0)
    assert list(result.failed) == ["bad.jpg"]

    found = rows(output)
    assert sorted(found["path"]) == sorted(one["names"].tolist())
    vectors = dict(zip(found["path"], np.array(found["embedding"], np.float32), strict=True))
    np.testing.assert_array_equal([vectors[name] for name in one["names"]], one["X"])
    assert dict(zip(found["path"], found["hash"], strict=True)) == dict(
        zip(one["names"].tolist(), one["hashes"].tolist(), strict=True)
    )

    sorted(output.glob("*.parquet"))[3].unlink()
    again = embed_on_ray(str(images), str(output), cluster=TWO, quiet=True)
    assert (again.done, again.made, again.kept) == (120, 1, 15)
    assert sorted(rows(output)["path"]) == sorted(found["path"])
    monkeypatch.setattr(cluster, "_connected", None)  # a finished run needs no Ray
    assert embed_on_ray(str(images), str(output), cluster=TWO, quiet=True).made == 0


class Poisoned(EmbedTask):
    """A network that kills its process at a white image."""

    def start(self) -> Any:
        preprocess, infer = super().start()

        def deadly(images: Any) -> Any:
            if (images[0] == 255).all():
                os._exit(1)
            return infer(images)

        return preprocess, deadly


@pytest.mark.slow
def test_an_image_that_kills_every_worker_ends_the_run_with_its_name_and_keeps_the_rest(
    tmp_path: Path, digits: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray", reason="needs the cluster extra")
    from PIL import Image

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(cluster, "EmbedTask", Poisoned)
    images = digits(12)
    Image.new("RGB", (32, 32), "white").save(images / "!white.png")
    with pytest.raises(
        StoreError, match=r"1 of 4 shards .*'!white.png': 4 workers died on a shard"
    ):
        embed_on_ray(str(images), str(tmp_path / "out"), cluster=TWO, quiet=True)
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 3


@pytest.mark.slow
def test_predict_says_on_ray_what_it_says_in_one_process(
    tmp_path: Path, digits: Callable[..., Path]
) -> None:
    pytest.importorskip("ray", reason="needs the cluster extra")
    images = digits(10)
    model = tmp_path / "m.handful"
    fit(images, output=model, project_dir=tmp_path / "project", quiet=True)
    expected = {
        Path(row.path).relative_to(images).as_posix(): row for row in predict(model, images)
    }
    output = tmp_path / "out"
    result = predict_on_ray(model, images.as_uri(), output.as_uri(), cluster=TWO, quiet=True)
    found = rows(output)
    assert result.done == len(found["path"]) == len(expected)
    for row, path in enumerate(found["path"]):
        said = expected[path].prediction
        assert said is not None
        assert (found["label"][row], found["is_known"][row]) == (said.label, said.is_known)
        assert found["probabilities"][row] == pytest.approx(said.probabilities, abs=1e-6)
    arguments = ("--engine", "ray", "--shard-size", 8, "-o", output.as_uri(), "-q")
    code, text = invoke("predict", model, images.as_uri(), *arguments)
    assert code == 0 and "20 images done, 0 unusable" in text and "0 shards made" in text
