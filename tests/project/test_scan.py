"""What a scan notes, imports and says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from handful.core import ProjectError
from handful.project import LabelEvent, Project


def test_class_folders_are_labels_at_any_depth(root, write, said):
    for name in ("0.jpg", "cat/1.JPG", "train/dog/small/2.png", "unlabelled/2024/3.webp"):
        write(name)
    with Project.open(root) as project:
        report = project.scan(quiet=True)
        assert (report.new, report.imported, str(report)) == (4, 2, "4 new")
        assert said(project) == {
            "0.jpg": None,
            "cat/1.JPG": "cat",
            "train/dog/small/2.png": "dog/small",
            "unlabelled/2024/3.webp": None,
        }
        assert project.images()[2].split == "train"


def test_leading_split_folders(root, write):
    for name in ("train/a/1.jpg", "val/a/2.jpg", "validation/a/3.jpg", "Test/a/4.jpg"):
        write(name)
    with Project.open(root) as project:
        project.scan(quiet=True)
        splits = {image.name: (image.split, image.label) for image in project.images()}
    assert list(splits.values()) == [
        ("test", "a"), ("train", "a"), ("validation", "a"), ("validation", "a"),
    ]  # fmt: skip


def test_second_scan_reads_no_unchanged_file(pets, monkeypatch):
    monkeypatch.setattr("handful.project.walk.hash_file", lambda path: pytest.fail(f"read {path}"))
    report = pets.scan(quiet=True)
    assert (report.unchanged, report.images, report.step) == (5, 5, None)


def test_file_written_just_now_is_read_again(root, write):
    path = write("a.jpg", "one")
    os.utime(path)
    with Project.open(root) as project:
        project.scan(quiet=True)
        status = path.stat()
        path.write_text("two")  # the same size, and on a coarse clock the same time
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert project.scan(quiet=True).changed == 1


@pytest.mark.slow
def test_rescan_of_10000_unchanged_files_is_fast(root):
    for folder in range(10):
        (root / f"class{folder}").mkdir()
        for number in range(1000):
            path = root / f"class{folder}" / f"{number}.jpg"
            path.write_bytes(b"%d/%d" % (folder, number))
            os.utime(path, (1e9, 1e9))
    with Project.open(root) as project:
        assert project.scan(quiet=True).new == 10_000
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            assert project.scan(quiet=True).unchanged == 10_000
            seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1.0, seconds


def test_renamed_image_keeps_its_label_and_counts_as_moved(pets, root, by_name):
    image = by_name(pets)["cat/1.jpg"]
    pets.labels.add([LabelEvent(image, "kitten")])
    (root / "cat/1.jpg").rename(root / "cat/renamed.jpg")
    report = pets.scan(quiet=True)
    assert (report.moved, report.new, report.vanished, report.imported) == (1, 0, 0, 0)
    moved = next(i for i in pets.images() if i.name == "cat/renamed.jpg")
    assert (moved.hash, moved.label) == (image, "kitten")


def test_image_moved_to_another_class_gets_that_class(pets, root, said):
    (root / "cat/1.jpg").rename(root / "dog/1.jpg")
    assert (pets.scan(quiet=True).imported, said(pets)["dog/1.jpg"]) == (1, "dog")
    (root / "dog/1.jpg").rename(root / "1.jpg")
    assert (pets.scan(quiet=True).imported, said(pets)["1.jpg"]) == (1, None)


def test_image_moved_out_of_the_test_folder_leaves_the_split(root, write):
    path = write("test/cat/1.jpg")
    with Project.open(root) as project:
        project.scan(quiet=True)
        assert project.images()[0].split == "test"
        (root / "cat").mkdir()
        path.rename(root / "cat/1.jpg")
        project.scan(quiet=True)
        assert (project.images()[0].split, project.images()[0].label) == (None, "cat")


def test_changed_content_is_another_image(pets, write, by_name):
    before = by_name(pets)["cat/1.jpg"]
    pets.labels.add([LabelEvent(before, "kitten")])
    write("cat/1.jpg", "another picture")
    assert pets.scan(quiet=True).changed == 1
    image = pets.images()[0]
    assert image.hash != before
    assert (image.label, image.kind) == ("cat", "imported")


def test_corrected_label_is_not_overridden_by_a_rescan(pets, root, said, by_name):
    image = by_name(pets)["cat/1.jpg"]
    pets.labels.add([LabelEvent(image, "dog")])
    pets.scan(quiet=True)
    assert said(pets)["cat/1.jpg"] == "dog"
    (root / "other").mkdir()
    (root / "cat/1.jpg").rename(root / "other/1.jpg")
    pets.scan(quiet=True)
    assert said(pets)["other/1.jpg"] == "dog"


def test_undone_import_stays_undone(pets, root, write, said):
    step = pets.labels.steps()[0]
    assert (step.what, step.imported) == ("scan", True)
    pets.labels.undo(step.number)
    assert set(said(pets).values()) == {None}
    (root / "cat/1.jpg").rename(root / "cat/one.jpg")
    write("cat/new.jpg")
    pets.scan(quiet=True)
    assert {n for n, label in said(pets).items() if label} == {"cat/new.jpg"}


def test_files_that_return_are_not_imported_again(pets, root, said):
    pets.labels.undo(1)
    (root / "cat").rename(root.parent / "away")
    assert pets.scan(quiet=True).vanished == 2
    (root.parent / "away").rename(root / "cat")
    report = pets.scan(quiet=True)
    assert (report.new, report.imported, said(pets)["cat/1.jpg"]) == (2, 0, None)


def test_vanished_class_is_reported_and_its_labels_kept(pets, root, write):
    for number in (1, 2):
        (root / f"cat/{number}.jpg").unlink()
    report = pets.scan(quiet=True)
    assert report.vanished == 2
    assert "Class 'cat' has no image left: the files of its 2 labels are gone" in report.warnings[0]
    assert pets.summary()["labels_of_vanished_images"] == 2
    assert {"name": "cat", "n": 0} in pets.summary()["classes"]
    write("cat/1.jpg")
    assert pets.scan(quiet=True).warnings == []
    assert pets.summary()["labels_of_vanished_images"] == 1


def test_copies_in_two_class_folders_have_no_label_until_a_person_decides(pets, write, said):
    write("dog/copy.jpg", "cat/1.jpg")
    report = pets.scan(quiet=True)
    assert (
        "1 images have copies in folders of different classes: cat and dog (1)"
        in (report.warnings[0])
    )
    assert said(pets)["cat/1.jpg"] is None
    (found,) = pets.contradictions()
    assert (found.names, found.labels) == (("cat/1.jpg", "dog/copy.jpg"), ("cat", "dog"))
    pets.labels.add([LabelEvent(pets.images()[0].hash, "cat")])
    assert (said(pets)["cat/1.jpg"], pets.contradictions()) == ("cat", [])


def test_removing_the_wrong_copy_settles_a_contradiction(pets, root, write, said):
    write("dog/copy.jpg", "cat/1.jpg")
    pets.scan(quiet=True)
    (root / "dog/copy.jpg").unlink()
    pets.scan(quiet=True)
    assert (said(pets)["cat/1.jpg"], pets.contradictions()) == ("cat", [])


def test_copies_in_train_and_test_are_one_test_image(root, write):
    write("train/cat/1.jpg", "same")
    write("test/cat/2.jpg", "same")
    with Project.open(root) as project:
        project.scan(quiet=True)
        (image,) = project.images()
    assert (image.split, image.label) == ("test", "cat")
    assert [path.name for path in image.paths] == ["2.jpg", "1.jpg"]


def test_empty_folder_says_what_would_be_read(root):
    with Project.open(root) as project:
        report = project.scan(quiet=True)
        assert (report.images, str(report)) == (0, "no images")
        with pytest.raises(ProjectError, match=r"no image that can be read in '.*images'.*JPEG"):
            report.raise_if_empty()


def test_folder_of_other_files_says_what_it_holds(root, write):
    write("a.heic"), write("b.heic"), write("notes.txt"), write("zero.jpg", "")
    with Project.open(root) as project:
        report = project.scan(quiet=True)
        assert "2 .heic files were not read" in report.warnings[0]
        with pytest.raises(ProjectError, match=r"other files: 2 \.heic, 1 \.txt.*'zero.jpg'"):
            report.raise_if_empty()


def test_empty_files_are_listed_and_skipped(pets, write):
    write("cat/zero.jpg", "")
    report = pets.scan(quiet=True)
    assert report.skipped == [("cat/zero.jpg", "an empty file (0 bytes)")]
    assert [(u.name, u.reason) for u in pets.unusable()] == report.skipped
    assert len(pets.images()) == 5
    write("cat/zero.jpg", "now whole")
    pets.scan(quiet=True)
    assert pets.unusable() == []


def test_unreadable_files_and_folders_are_listed_and_skipped(plain_user: Path):
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/3.jpg"):
        (plain_user / name).parent.mkdir(exist_ok=True)
        (plain_user / name).write_text(name)
    (plain_user / "cat/2.jpg").chmod(0)
    (plain_user / "dog").chmod(0)
    with Project.open(plain_user) as project:
        report = project.scan(quiet=True)
        assert report.skipped == [
            ("cat/2.jpg", "cannot be read: permission denied"),
            ("dog", "cannot be read: permission denied"),
        ]
        assert [image.name for image in project.images()] == ["cat/1.jpg"]
        (plain_user / "cat/2.jpg").chmod(0o644)
        (plain_user / "dog").chmod(0o755)
        assert project.scan(quiet=True).new == 2


def test_names_that_are_not_utf8(root, said):
    folder = root / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.jpg")).write_text("x")
    with Project.open(root) as project:
        project.scan(quiet=True)
        (image,) = project.images()
        assert image.name == r"caf\xe9/\xff.jpg"
        assert image.label == r"caf\xe9"
        assert image.path.read_text() == "x"
        assert project.scan(quiet=True).images == 1


def test_root_that_is_not_utf8(tmp_path):
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    (root / "cat").mkdir(parents=True)
    (root / "cat/1.jpg").write_text("x")
    for _ in range(2):
        with Project.open(root) as project:
            project.scan(quiet=True)
            assert project.images()[0].path.read_text() == "x"
            assert project.summary()["root"].endswith(r"\xff")


def test_class_folder_without_a_usable_name(root, write, said):
    write("a\tb/1.jpg")
    with Project.open(root) as project:
        report = project.scan(quiet=True)
        assert said(project) == {"a\tb/1.jpg": None}
    assert "1 images in 'a\\tb' have no label" in report.warnings[0]
    assert "control character" in report.warnings[0]


def test_train_among_classes_is_pointed_out(root, write):
    for name in ("car/1.jpg", "plane/2.jpg", "train/3.jpg"):
        write(name)
    with Project.open(root) as project:
        (warning,) = project.scan(quiet=True).warnings
    assert "'train' was read as a split, not as a class: its 1 images have no label" in warning


def test_scan_killed_while_reading_is_completed_by_the_next(root, write, said, monkeypatch):
    for number in range(600):
        write(f"cat/{number}.jpg")
    calls = []

    def killed(connection, after, report):
        calls.append(len(after))
        raise KeyboardInterrupt

    with Project.open(root) as project:
        monkeypatch.setattr("handful.project.scan._import_claims", killed)
        with pytest.raises(KeyboardInterrupt):
            project.scan(quiet=True)
        monkeypatch.undo()
        report = project.scan(quiet=True)
        assert (calls, report.unchanged, report.imported) == ([600], 600, 600)
        assert set(said(project).values()) == {"cat"}


def test_scan_notices_metadata_files(root, write):
    write("train/1.jpg")
    write("train/metadata.csv", "file_name,label\n1.jpg,cat\n")
    with Project.open(root) as project:
        assert project.scan(quiet=True).label_files == ["train/metadata.csv"]
