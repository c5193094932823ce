"""The walk: links, loops, hidden files; hashing in bounded memory."""

from __future__ import annotations

import hashlib
import os
import tracemalloc

import pytest

from handful.project.walk import hash_file, hash_files, walk


def names(found):
    return sorted(os.fsdecode(path) for path in found.files)


def test_symlink_loops_end(root, write):
    write("cat/1.jpg")
    (root / "cat/loop").symlink_to(root)
    (root / "a").mkdir(), (root / "b").mkdir()
    (root / "a/to_b").symlink_to(root / "b")
    (root / "b/to_a").symlink_to(root / "a")
    (root / "self.jpg").symlink_to("self.jpg")
    (root / "self").symlink_to("self")
    found = walk(root, without=root / "a")
    assert names(found) == ["cat/1.jpg"]
    assert found.problems[b"cat/loop"] == "a link to a folder that is read already"
    assert "symbolic links" in found.problems[b"self.jpg"]
    assert "symbolic links" in found.problems[b"self"]


def test_links_to_files_and_folders_outside_are_followed(root, write, tmp_path):
    (tmp_path / "elsewhere/dog").mkdir(parents=True)
    (tmp_path / "elsewhere/dog/2.jpg").write_text("2")
    write("cat/1.jpg")
    (root / "more").symlink_to(tmp_path / "elsewhere")
    (root / "cat/copy.jpg").symlink_to(root / "cat/1.jpg")
    (root / "cat/gone.jpg").symlink_to(root / "nowhere.jpg")
    found = walk(root, without=tmp_path)
    assert names(found) == ["cat/1.jpg", "cat/copy.jpg", "more/dog/2.jpg"]
    assert found.problems == {b"cat/gone.jpg": "cannot be read: no such file or directory"}


def test_the_project_folder_is_left_out_unless_it_is_the_root(root, write):
    write("cat/1.jpg"), write("state/2.jpg")
    assert names(walk(root, without=root / "state")) == ["cat/1.jpg"]
    assert walk(root, without=root / "state").problems == {}
    assert names(walk(root, without=root)) == ["cat/1.jpg", "state/2.jpg"]


def test_hidden_and_system_files_are_left_out(root, write, tmp_path):
    for name in (".handful/x.jpg", "cat/._1.jpg", "__MACOSX/1.jpg", "@eaDir/1.jpg", "cat/1.jpg"):
        write(name)
    assert names(walk(root, without=tmp_path)) == ["cat/1.jpg"]


def test_a_pipe_with_an_image_name_is_not_read(root, tmp_path):
    os.mkfifo(root / "pipe.jpg")
    assert walk(root, without=tmp_path).problems == {b"pipe.jpg": "not a regular file"}


def test_a_folder_with_an_image_name_is_a_folder(root, write, tmp_path):
    write("odd.jpg/1.png")
    assert names(walk(root, without=tmp_path)) == ["odd.jpg/1.png"]


def test_hash_is_blake2b_of_the_file(write):
    path = write("a.jpg", "abc")
    assert hash_file(path) == hashlib.blake2b(b"abc", digest_size=16).hexdigest()


def test_hashing_big_files_takes_little_memory(root):
    for number in range(4):
        with (root / f"{number}.jpg").open("wb") as file:
            file.truncate(30_000_000)
    tracemalloc.start()
    batches = list(hash_files(root, [b"%d.jpg" % number for number in range(4)]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
    assert len({read.hash for batch in batches for read in batch}) == 1


def test_file_that_vanishes_before_it_is_read(root):
    ((read,),) = hash_files(root, [b"gone.jpg"])
    assert (read.hash, read.reason) == (None, "cannot be read: no such file or directory")


@pytest.mark.parametrize(
    "suffix", ["jpg", "JPEG", "jfif", "png", "WebP", "tif", "tiff", "bmp", "gif"]
)
def test_every_format_is_seen(root, write, tmp_path, suffix):
    write(f"a.{suffix}")
    assert names(walk(root, without=tmp_path)) == [f"a.{suffix}"]
