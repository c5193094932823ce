"""Opening a project, and what it answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import handful.project
from handful.core import ProjectError
from handful.project import LabelEvent, Project


def test_public_names_are_sorted_and_documented():
    names = handful.project.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert all(getattr(handful.project, name).__doc__ for name in names if name[1].islower())


def test_open_makes_a_folder_that_git_ignores(root):
    with Project.open(root) as project:
        assert project.folder == root / ".handful"
        assert (project.folder / ".gitignore").read_text() == "*\n"


def test_missing_folder_suggests_a_near_name(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(ProjectError, match=r"no folder '.*imgaes' \(did you mean 'images'\?\)"):
        Project.open(tmp_path / "imgaes")


def test_file_instead_of_a_folder(write):
    with pytest.raises(ProjectError, match=r"is a file\. Give the folder that holds the images"):
        Project.open(write("1.jpg"))


def test_no_project_and_none_to_be_made(root):
    with pytest.raises(ProjectError, match=r"no project in .* Begin one with: handful fit"):
        Project.open(root, create=False)
    assert list(root.iterdir()) == []


def test_read_only_folder_names_the_way_out(plain_user: Path):
    images, state = plain_user / "images", plain_user / "state"
    (images / "cat").mkdir(parents=True)
    (images / "cat/1.jpg").write_text("1")
    images.chmod(0o555)
    with pytest.raises(ProjectError, match=r"cannot be written.*permission denied.*--project DIR"):
        Project.open(images)
    with Project.open(images, project_dir=state) as project:
        assert project.scan(quiet=True).new == 1
    assert [path.name for path in images.iterdir()] == ["cat"]


def test_read_only_project_folder(plain_user: Path):
    (plain_user / ".handful").mkdir()
    (plain_user / ".handful").chmod(0o555)
    with pytest.raises(ProjectError, match="--project DIR"):
        Project.open(plain_user)


def test_project_folder_of_other_images_is_refused(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    Project.open(root, project_dir=tmp_path / "state").close()
    with pytest.raises(
        ProjectError, match=r"belongs to the images in '.*images', not to '.*other'"
    ):
        Project.open(other, project_dir=tmp_path / "state")
    root.rename(tmp_path / "moved")
    Project.open(tmp_path / "moved", project_dir=tmp_path / "state").close()


def test_project_folder_of_the_same_images_spelled_otherwise(root, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(root)
    for spelling in (root, "../images", ".", tmp_path / "link"):
        with Project.open(spelling, project_dir="../state") as project:
            assert project.folder == tmp_path / "state"


def test_project_in_the_image_folder_itself(root, write):
    write("cat/1.jpg")
    with Project.open(root, project_dir=root) as project:
        assert project.scan(quiet=True).new == 1


def test_read_only_database(plain_user: Path):
    Project.open(plain_user).close()
    (plain_user / ".handful/project.db").chmod(0o444)
    with (
        Project.open(plain_user) as project,
        pytest.raises(ProjectError, match=r"cannot be written.*--project DIR"),
    ):
        project.set_setting("key", 1)


def test_moved_root_keeps_everything(pets, root, tmp_path):
    pets.labels.add([LabelEvent(pets.images()[0].hash, "kitten")])
    pets.close()
    root.rename(tmp_path / "moved")
    with Project.open(tmp_path / "moved") as project:
        assert project.scan(quiet=True).unchanged == 5
        image = project.images()[0]
        assert (image.label, image.path) == ("kitten", tmp_path / "moved/cat/1.jpg")


def test_images_are_one_a_content_sorted_by_first_path(pets, write, root):
    write("a/copy.jpg", "dog/3.jpg")
    pets.scan(quiet=True)
    images = pets.images()
    assert [image.name for image in images] == [
        "a/copy.jpg", "cat/1.jpg", "cat/2.jpg", "dog/4.jpg", "unlabelled/5.jpg",
    ]  # fmt: skip
    assert images[0].paths == (root / "a/copy.jpg", root / "dog/3.jpg")


def test_undecodable_images_are_left_out_until_they_change(pets, write, by_name):
    image = by_name(pets)["cat/1.jpg"]
    pets.mark_unusable({image: "truncated"})
    assert len(pets.images()) == 4
    assert [(u.name, u.reason) for u in pets.unusable()] == [("cat/1.jpg", "truncated")]
    pets.scan(quiet=True)
    assert len(pets.unusable()) == 1
    write("cat/1.jpg", "repaired")
    pets.scan(quiet=True)
    assert (len(pets.images()), pets.unusable()) == (5, [])


def test_unusable_may_be_taken_back(pets, by_name):
    image = by_name(pets)["cat/1.jpg"]
    pets.mark_unusable({image: "too large"})
    pets.mark_unusable({image: None})
    assert len(pets.images()) == 5


def test_settings_are_json(pets):
    assert pets.setting("white") is None
    assert pets.setting("white", 255) == 255
    pets.set_setting("white", {"level": 4095})
    assert pets.setting("white") == {"level": 4095}


def test_near_duplicates_and_their_contradictions(pets, by_name, root):
    images = by_name(pets)
    cat, dog = images["cat/1.jpg"], images["dog/3.jpg"]
    pets.add_near_duplicates([(cat, dog), (dog, cat), (cat, images["cat/2.jpg"]), (cat, cat)])
    assert len(pets.near_duplicates()) == 2
    (found,) = pets.contradictions()
    assert set(zip(found.names, found.labels, strict=True)) == {
        ("cat/1.jpg", "cat"), ("dog/3.jpg", "dog"),
    }  # fmt: skip
    groups = pets.group_numbers(pets.images()).tolist()
    assert groups == [0, 0, 0, 1, 2]
    (root / "dog/3.jpg").unlink()
    pets.scan(quiet=True)
    assert len(pets.near_duplicates()) == 1


def test_near_duplicates_of_unknown_images(pets):
    with pytest.raises(ValueError, match="no image of this hash"):
        pets.add_near_duplicates([("00", "01")])


def test_summary_is_json_and_counts(pets, write):
    write("test/cat/6.jpg"), write("cat/zero.jpg", ""), write("dog/copy.jpg", "cat/1.jpg")
    pets.scan(quiet=True)
    summary = json.loads(json.dumps(pets.summary()))
    assert {key: summary[key] for key in ("images", "files", "labelled", "unlabelled")} == {
        "images": 6, "files": 7, "labelled": 4, "unlabelled": 2,
    }  # fmt: skip
    assert summary["classes"] == [{"name": "cat", "n": 2}, {"name": "dog", "n": 2}]
    assert summary["splits"] == {"test": 1}
    assert summary["unusable"] == [{"name": "cat/zero.jpg", "reason": "an empty file (0 bytes)"}]
    assert summary["contradictions"][0]["labels"] == ["cat", "dog"]
    assert [step["what"] for step in summary["imports"]] == ["scan", "scan"]


@pytest.mark.data
@pytest.mark.slow
def test_a_real_folder_with_splits(data, tmp_path):
    with Project.open(data("clothing"), project_dir=tmp_path / "state") as project:
        report = project.scan(quiet=True)
        assert report.skipped == []
        summary = project.summary()
        assert len(summary["classes"]) == 10
        assert set(summary["splits"]) == {"train", "validation", "test"}
        assert summary["files"] == report.new
        assert project.scan(quiet=True).unchanged == report.new
