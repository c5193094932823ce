from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("fsspec", reason="needs the cluster extra")
pa = pytest.importorskip("pyarrow", reason="needs the parquet extra")

from pyarrow import parquet  # noqa: E402

from handful.core import Array, ProjectError, UInt8  # noqa: E402
from handful.images import Preprocess  # noqa: E402
from handful.jobs.shard_work import ShardWorker  # noqa: E402
from handful.jobs.shards import (  # noqa: E402
    RECORD,
    Listing,
    Outcome,
    Shard,
    ShardFolder,
    list_images,
    plan,
)

PRINT = "0123456789abcdef" * 2


class MeanColour:
    """A network whose vector is the mean colour of an image."""

    verb, fingerprint = "embed", PRINT

    def start(self) -> tuple[Preprocess, Callable[[UInt8], tuple[Array, ...]]]:
        return Preprocess(size=8), lambda x: (x.mean(axis=(1, 2)).astype(np.float32),)

    def columns(self, outputs: tuple[Array, ...]) -> dict[str, Any]:
        (X,) = outputs
        return {"embedding": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 3)}


@pytest.fixture
def photos(tmp_path: Path, photo: Callable[..., Image.Image]) -> Path:
    folder = tmp_path / "photos"
    (folder / "cats").mkdir(parents=True)
    for i in range(6):
        photo(i).save(folder / "cats" / f"[{i}] ü.png")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no image")
    return folder


@given(st.sets(st.text(min_size=1), max_size=60), st.integers(1, 9))
def test_every_image_is_in_one_shard(paths: set[str], size: int) -> None:
    good = {path for path in paths if path.isascii()} | {"one.jpg"}
    shards = plan(Listing("x", dict.fromkeys(good, "")), PRINT, size)
    found = [path for shard in shards for path in shard.paths]
    assert sorted(found) == sorted(good)
    assert len({shard.name for shard in shards}) == len(shards)


def test_the_name_of_a_shard_follows_from_network_images_and_versions() -> None:
    def names(fingerprint: str, versions: dict[str, str], base: str = "x") -> set[str]:
        return {shard.name for shard in plan(Listing(base, versions), fingerprint, 4)}

    versions = {f"{i}.jpg": "1" for i in range(40)}
    first = names(PRINT, versions)
    assert names(PRINT, dict(reversed(versions.items()))) == first
    assert len(names(PRINT, {**versions, "3.jpg": "2"}) - first) == 1
    assert not names("ff" * 16, versions) & first


def test_a_folder_is_searched_and_hidden_files_are_passed_over(photos: Path) -> None:
    listing = list_images(str(photos))
    assert sorted(listing.versions) == [f"cats/[{i}] ü.png" for i in range(6)]
    assert list_images(photos.as_uri()).versions == listing.versions
    before = dict(listing.versions)
    (photos / "cats" / "[0] ü.png").write_bytes(b"other content")
    after = list_images(str(photos)).versions
    assert [path for path in before if before[path] != after[path]] == ["cats/[0] ü.png"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_manifest_names_images_relative_to_itself_or_whole(photos: Path, form: str) -> None:
    whole = str(photos / "cats" / "[1] ü.png")
    paths, manifest = ["cats/[0] ü.png", whole, ""], photos / f"list.{form}"
    if form == "csv":
        lines = [f'"{path}",{i}' for i, path in enumerate(paths)]
        manifest.write_text("\n".join(["path,version", *lines]))
    else:
        parquet.write_table(pa.table({"path": paths, "version": ["0", "1", "2"]}), manifest)
    listing = list_images(str(manifest))
    assert listing.versions == {"cats/[0] ü.png": "0", whole: "1"}
    output = photos.parent / "out"
    outcome = ShardWorker(MeanColour(), listing.base, str(output), 1).make(
        "a", [*listing.versions, "gone.png"]
    )
    assert outcome.done == 2
    assert "cannot be read" in outcome.failed["gone.png"]
    assert not outcome.again


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.csv", "name\na.jpg", "has no column 'path'. Its columns are: 'name'"),
        ("list.csv", "path\n", "No image found"),
        ("list.parquet", "no parquet", "cannot be read"),
        ("list.txt", "a.jpg", "Images come from a folder, or from a .parquet or .csv file"),
    ],
)
def test_what_cannot_be_a_list_of_images_is_named(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ProjectError, match=message):
        list_images(str(tmp_path / name))


def test_places_that_are_not_there() -> None:
    with pytest.raises(ProjectError, match="No such file or folder: 'nowhere'"):
        list_images("nowhere")
    with pytest.raises(ProjectError, match="'nosuch://a' cannot be reached"):
        list_images("nosuch://a")


@pytest.mark.parametrize("place", ["folder", "memory://shards"])
def test_a_shard_is_recognised_whole_and_only_then(
    tmp_path: Path, photos: Path, place: str
) -> None:
    output = str(tmp_path / "out") if place == "folder" else place
    (photos / "bad.jpg").write_bytes(b"no image")
    listing = list_images(str(photos))
    (shard,) = plan(listing, PRINT, 100)
    folder = ShardFolder(output)
    assert folder.finished([shard]) == {}
    made = ShardWorker(MeanColour(), listing.base, output, 2).make(shard.name, shard.paths)
    assert folder.finished([shard]) == {shard.name: made}
    assert (made.done, list(made.failed)) == (6, ["bad.jpg"])
    if place == "folder":
        table = parquet.read_table(output)
        assert table.column_names == ["path", "hash", "embedding"]
        assert sorted(table["path"].to_pylist()) == sorted(set(shard.paths) - {"bad.jpg"})
        file = tmp_path / "out" / shard.name
        file.write_bytes(file.read_bytes()[:-9])
        assert folder.finished([shard]) == {}


def test_a_shard_without_one_good_image_has_the_columns_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    worker = ShardWorker(MeanColour(), str(tmp_path), str(tmp_path / "out"), 1)
    outcome = worker.make("a.parquet", ["bad.jpg"])
    assert outcome.done == 0
    schema = parquet.read_schema(tmp_path / "out" / "a.parquet")
    assert schema.field("embedding").type == pa.list_(pa.float32(), 3)
    assert schema.field("path").type == pa.string()


def test_a_file_that_could_not_be_read_just_now_is_tried_by_the_next_run(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = list_images(str(photos))
    (shard,) = plan(listing, PRINT, 100)
    output = str(photos.parent / "out")
    worker = ShardWorker(MeanColour(), listing.base, output, 1)
    read = worker._read

    def broken(path: str) -> bytes:
        if path == shard.paths[0]:
            raise OSError("connection reset")
        return read(path)

    monkeypatch.setattr(worker, "_read", broken)
    outcome = worker.make(shard.name, shard.paths)
    assert outcome.failed == {shard.paths[0]: "It cannot be read: connection reset"}
    assert ShardFolder(output).finished([shard]) == {}


def test_a_folder_is_for_one_source_and_one_network_and_forgets_former_shards(
    tmp_path: Path,
) -> None:
    folder = ShardFolder(str(tmp_path))
    facts = {"source": "photos", "fingerprint": PRINT}
    folder.claim(facts)
    folder.claim(facts)
    for key in facts:
        with pytest.raises(ProjectError, match=f"holds results of another {key}"):
            folder.claim({**facts, key: "other"})
    kept, old = (Shard(f"{PRINT[:12]}-{c * 32}.parquet", ()) for c in "ab")
    for name in (kept.name, old.name, f".{old.name}.00ff.tmp", "my.parquet"):
        (tmp_path / name).write_bytes(b"")
    folder.close([kept], facts)
    assert {path.name for path in tmp_path.iterdir()} == {kept.name, "my.parquet", RECORD}
    assert json.loads((tmp_path / RECORD).read_text())["complete"]


def test_an_error_becomes_an_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = ShardWorker(MeanColour(), str(tmp_path), str(tmp_path / "out"), 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(worker._folder, "write", full)
    outcome = worker.tried("a", ["gone.png"])
    assert outcome == Outcome("a", error="OSError: [Errno 28] No space left on device")
