from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful.backbones import BackboneSpec, OnnxBackbone, packaged
from handful.core import StoreError, UInt8
from handful.embeddings import BATCH_SIZE, VectorStore, embed, run_batches
from handful.images import Preprocess, decode


@pytest.fixture(scope="module")
def backbone() -> OnnxBackbone:
    return packaged({"size": 32})


@pytest.fixture
def folder(tmp_path: Path, photo: Callable[..., Image.Image]) -> dict[str, Path]:
    """Return 21 photos by a made-up hash."""
    found = {}
    for number in range(21):
        path = tmp_path / "photos" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        photo(number).save(path)
        found[f"{number:032x}"] = path
    return found


def store(tmp_path: Path, backbone: OnnxBackbone) -> VectorStore:
    return VectorStore(tmp_path / "store", backbone.spec.fingerprint, backbone.spec.dim)


def test_each_image_has_the_vector_it_would_have_alone(
    tmp_path: Path, backbone: OnnxBackbone, folder: dict[str, Path]
) -> None:
    vectors = store(tmp_path, backbone)
    assert embed(vectors, backbone, folder, quiet=True) == {}
    alone = np.concatenate(
        [backbone.embed(decode(path, backbone.spec.preprocess)[None]) for path in folder.values()]
    )
    np.testing.assert_array_equal(vectors.rows(list(folder)), alone)


def test_nothing_is_computed_twice(tmp_path: Path, folder: dict[str, Path]) -> None:
    calls = []

    class Counting:
        spec = BackboneSpec("counting", "f", Preprocess(size=32), 1)

        def embed(self, images: np.ndarray) -> np.ndarray:
            calls.append(len(images))
            return images.mean(axis=(1, 2, 3), dtype=np.float32)[:, None]

    vectors = VectorStore(tmp_path, "f", 1)
    first = dict(list(folder.items())[:10])
    embed(vectors, Counting(), first, quiet=True)
    assert calls == [BATCH_SIZE, BATCH_SIZE]
    embed(vectors, Counting(), first, quiet=True)
    assert len(calls) == 2
    embed(VectorStore(tmp_path, "f", 1), Counting(), folder, quiet=True)
    assert len(calls) == 4


def test_a_bad_image_is_named_and_the_rest_goes_on(
    tmp_path: Path, backbone: OnnxBackbone, folder: dict[str, Path]
) -> None:
    bad, good = list(folder)[3], [name for name in folder if name != list(folder)[3]]
    folder[bad].write_bytes(b"not an image")
    vectors = store(tmp_path, backbone)
    failed = embed(vectors, backbone, folder, quiet=True)
    assert list(failed) == [bad]
    assert bad not in vectors
    assert len(vectors) == len(good)


def test_a_damaged_shard_is_computed_again(
    tmp_path: Path, backbone: OnnxBackbone, folder: dict[str, Path]
) -> None:
    vectors = store(tmp_path, backbone)
    embed(vectors, backbone, folder, quiet=True)
    expected = vectors.rows(list(folder))
    (path,) = vectors.folder.iterdir()
    content = bytearray(path.read_bytes())
    content[-5] ^= 255
    path.write_bytes(content)
    again = store(tmp_path, backbone)
    embed(again, backbone, folder, quiet=True)
    np.testing.assert_array_equal(again.rows(list(folder)), expected)


def test_what_was_finished_before_an_error_is_kept(tmp_path: Path, folder: dict[str, Path]) -> None:
    class Failing:
        spec = BackboneSpec("failing", "f", Preprocess(size=32), 1)
        calls = 0
        lock = threading.Lock()

        def embed(self, images: np.ndarray) -> np.ndarray:
            with self.lock:
                self.calls += 1
                if self.calls == 3:
                    raise RuntimeError("the machine stopped")
            return np.ones((len(images), 1), np.float32)

    vectors = VectorStore(tmp_path, "f", 1)
    with pytest.raises(RuntimeError, match="the machine stopped"):
        embed(vectors, Failing(), folder, n_jobs=1, quiet=True)
    assert len(VectorStore(tmp_path, "f", 1)) == 2 * BATCH_SIZE


def test_a_full_disk_stops_with_one_message(
    tmp_path: Path, backbone: OnnxBackbone, folder: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(StoreError, match="No space left on device"):
        embed(store(tmp_path, backbone), backbone, folder, quiet=True)


def test_the_work_under_way_is_bounded(folder: dict[str, Path]) -> None:
    started = []

    def infer(images: np.ndarray) -> tuple[np.ndarray]:
        started.append(1)
        return (np.zeros((len(images), 1), np.float32),)

    batches = run_batches(list(folder.values()) * 10, Preprocess(size=8), infer, n_jobs=2)
    next(batches)
    threading.Event().wait(0.3)
    assert len(started) <= 2 * 2 + 2
    batches.close()


def test_bytes_and_paths_are_the_same(folder: dict[str, Path], backbone: OnnxBackbone) -> None:
    paths = list(folder.values())[:3]

    def infer(images: np.ndarray) -> tuple[np.ndarray]:
        return (backbone.embed(images),)

    (of_paths,) = run_batches(paths, backbone.spec.preprocess, infer)
    (of_bytes,) = run_batches(
        [path.read_bytes() for path in paths], backbone.spec.preprocess, infer
    )
    np.testing.assert_array_equal(of_paths.outputs[0], of_bytes.outputs[0])


def test_many_tiles_are_run_a_few_images_at_once(folder: dict[str, Path]) -> None:
    sizes = []

    def infer(images: UInt8) -> tuple[UInt8]:
        sizes.append(len(images))
        return (images[:, 0, 0],)

    batches = run_batches(list(folder.values()), Preprocess(size=8, tiles=2), infer, n_jobs=1)
    assert [position for batch in batches for position in batch.done] == list(range(len(folder)))
    assert set(sizes) == {2}
