from __future__ import annotations

import hashlib
import os
import stat
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.core import StoreError, write_atomically
from handful.embeddings import VectorStore


def hashes(n: int, start: int = 0) -> list[str]:
    return [
        hashlib.blake2b(str(i).encode(), digest_size=16).hexdigest()
        for i in range(start, start + n)
    ]


def vectors(n: int, dim: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def test_rows_come_back_bit_equal_in_the_order_asked(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, "f", 3)
    X = vectors(10)
    store.add(hashes(6), X[:6])
    store.add(hashes(4, 6), X[6:])
    again = VectorStore(tmp_path, "f", 3)
    assert len(again) == 10
    order = np.random.default_rng(1).permutation(10)
    np.testing.assert_array_equal(again.rows([hashes(10)[i] for i in order]), X[order])


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 12), max_size=4), size=st.integers(1, 13))
def test_shards_and_blocks_partition_the_images(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], size: int
) -> None:
    store = VectorStore(tmp_path_factory.mktemp("store"), "f", 2)
    names, X = hashes(12), vectors(12, 2)
    edges = [0, *sorted(cuts), 12]
    for low, high in pairwise(edges):
        if high > low:
            store.add(names[low:high], X[low:high])
    got = [(list(part), rows) for part, rows in store.blocks(names, size)]
    assert [name for part, _ in got for name in part] == names
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in got]), X)


@pytest.mark.parametrize("damage", ["flipped bit", "cut", "empty", "header"])
def test_a_damaged_shard_is_noticed_and_forgotten(tmp_path: Path, damage: str) -> None:
    store = VectorStore(tmp_path, "f", 3)
    store.add(hashes(5), vectors(5))
    store.add(hashes(5, 5), vectors(5, seed=1))
    path = sorted(store.folder.iterdir())[0]
    content = bytearray(path.read_bytes())
    if damage == "flipped bit":
        content[-1] ^= 1
    path.write_bytes(
        {"cut": content[:-4], "empty": b"", "header": b"\xff" * 40}.get(damage, content)
    )
    again = VectorStore(tmp_path, "f", 3)
    again.verify(hashes(10))
    assert len(again) == 5
    assert not path.exists()
    kept = [name for name in hashes(10) if name in again]
    again.rows(kept)


def test_shards_of_another_dimension_are_left_out(tmp_path: Path) -> None:
    VectorStore(tmp_path, "f", 3).add(hashes(2), vectors(2))
    assert len(VectorStore(tmp_path, "f", 4)) == 0


def test_a_missing_vector_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no vector"):
        VectorStore(tmp_path, "f", 3).rows(hashes(1))


def test_a_full_disk_leaves_nothing_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    store = VectorStore(tmp_path, "f", 3)
    with pytest.raises(StoreError, match=r"No space left on device.*finished work is kept"):
        store.add(hashes(2), vectors(2))
    assert list(store.folder.iterdir()) == []
    assert hashes(1)[0] not in store


def test_two_processes_writing_the_same_shard_agree(tmp_path: Path) -> None:
    one, other = VectorStore(tmp_path, "f", 3), VectorStore(tmp_path, "f", 3)
    one.add(hashes(4), vectors(4))
    other.add(hashes(4), vectors(4))
    assert len(list(one.folder.iterdir())) == 1


def test_a_shard_that_cannot_be_read_now_is_left_out_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = VectorStore(tmp_path, "f", 3)
    store.add(hashes(5), vectors(5))

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        assert len(VectorStore(tmp_path, "f", 3)) == 0
        patch.setattr(Path, "read_bytes", fail)
        assert store.verify(hashes(5)) == 0
        assert len(store) == 0
    again = VectorStore(tmp_path, "f", 3)
    assert again.verify(hashes(5)) == 0
    np.testing.assert_array_equal(again.rows(hashes(5)), vectors(5))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_written_file_has_the_mode_of_the_process(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
