"""What all label files share: all or nothing, hints, undo."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from handful.core import ProjectError
from handful.project import LabelEvent, Project, import_csv, undo_import
from handful.project.interchange import Row, import_rows

FILE = Path("labels.csv")


def test_all_problems_are_told_and_nothing_is_imported(pets, said):
    before = said(pets)
    rows = [
        Row("row 2", "cat/1.jpg", ("dog",)),
        Row("row 4", "cat/2.jpg", ("dgo",)),
        Row("row 9", ""),
        Row("row 12", "cat/33.jpg", ("cat",)),
        Row("row 13", "dog/3.jpg", split="tset"),
    ]
    with pytest.raises(ProjectError) as refusal:
        import_rows(pets, FILE, rows)
    message = str(refusal.value)
    assert message.startswith("4 problems in 'labels.csv', nothing was imported: ")
    assert "row 4: unknown class 'dgo' (did you mean 'dog'?)" in message
    assert "row 9: empty path" in message
    assert "row 12: no image 'cat/33.jpg' (did you mean 'cat/" in message
    assert "row 13: unknown split 'tset' (did you mean 'test'?)" in message
    assert "pass --skip-unknown" in message
    assert "pass --new-classes" in message
    assert (said(pets), len(pets.labels.steps())) == (before, 1)


def test_many_problems_are_cut(pets):
    rows = [Row(f"row {n}", f"missing {n}.jpg") for n in range(100)]
    with pytest.raises(ProjectError, match=r"^100 problems .*row 4: .*; … 95 more\. "):
        import_rows(pets, FILE, rows)


def test_same_name_in_another_folder_is_suggested(pets):
    with pytest.raises(ProjectError, match=r"no image '3\.jpg' \(did you mean 'dog/3\.jpg'\?\)"):
        import_rows(pets, FILE, [Row("row 2", "3.jpg")])


def test_unknown_paths_may_be_skipped_and_are_listed(pets):
    rows = [Row("row 2", "gone.jpg", ("eel",)), Row("row 3", "unlabelled/5.jpg", ("cat",))]
    report = import_rows(pets, FILE, rows, skip_unknown=True)
    assert report.skipped == [("gone.jpg", "no such image in the project")]
    assert (report.images, report.labelled, report.new_classes) == (1, 1, [])


def test_new_classes_need_a_word_unless_there_are_none(pets, root, write, said):
    rows = [Row("row 2", "unlabelled/5.jpg", ("eel",))]
    with pytest.raises(ProjectError, match="unknown class 'eel'"):
        import_rows(pets, FILE, rows)
    assert import_rows(pets, FILE, rows, new_classes=True).new_classes == ["eel"]
    assert said(pets)["unlabelled/5.jpg"] == "eel"


def test_a_file_that_labels_everything_may_name_its_own_classes(root, write, said):
    write("images/1.jpg"), write("images/2.jpg")
    rows = [Row("row 2", "images/1.jpg", ("cat",)), Row("row 3", "images/2.jpg", ("dog",))]
    with Project.open(root) as project:
        project.scan(quiet=True)
        with pytest.raises(
            ProjectError, match=r"unknown class 'image' \(did you mean 'images'\?\)"
        ):
            import_rows(project, FILE, [rows[0], Row("row 3", "images/2.jpg", ("image",))])
        assert import_rows(project, FILE, rows).new_classes == ["cat", "dog"]
        assert project.classes.names() == ["cat", "dog"]


def test_several_labels_on_one_image_are_refused(pets):
    for labels in (("cat", "dog"), ("cat; dog",), ("cat|dog",), ("cat,dog",)):
        with pytest.raises(ProjectError) as refusal:
            import_rows(pets, FILE, [Row("row 2", "cat/1.jpg", labels)])
        assert "row 2: several labels on one image, 'cat', 'dog'" in str(refusal.value)
        assert "An image has one class in handful: keep one label each" in str(refusal.value)


def test_a_class_name_with_a_comma_is_a_class(pets):
    rows = [Row("row 2", "cat/1.jpg", ("cat, striped",))]
    assert import_rows(pets, FILE, rows, new_classes=True).new_classes == ["cat, striped"]


def test_one_path_with_two_labels_is_refused(pets):
    rows = [Row("row 2", "cat/1.jpg", ("cat",)), Row("row 7", "cat/1.jpg", ("dog",))]
    with pytest.raises(ProjectError) as refusal:
        import_rows(pets, FILE, rows)
    assert "row 7: 'cat/1.jpg' has the labels 'cat' (row 2) and 'dog'" in str(refusal.value)
    same = [rows[0], Row("row 7", "cat/1.jpg", ("cat",))]
    assert import_rows(pets, FILE, same).labelled == 1


def test_copies_with_two_labels_have_none_and_are_reported(pets, write, said):
    write("unlabelled/copy.jpg", "unlabelled/5.jpg")
    pets.scan(quiet=True)
    rows = [
        Row("row 2", "unlabelled/5.jpg", ("cat",)),
        Row("row 3", "unlabelled/copy.jpg", ("dog",)),
    ]
    report = import_rows(pets, FILE, rows)
    assert "1 images got different labels" in report.warnings[0]
    assert said(pets)["unlabelled/5.jpg"] is None
    assert pets.contradictions()[0].labels == ("cat", "dog")


def test_unusable_images_are_skipped_with_the_reason(pets, by_name):
    pets.mark_unusable({by_name(pets)["cat/1.jpg"]: "truncated"})
    rows = [Row("row 2", "cat/1.jpg", ("cat",)), Row("row 3", "cat/2.jpg", ("cat",))]
    assert import_rows(pets, FILE, rows).skipped == [("cat/1.jpg", "truncated")]


def test_labels_by_hand_hold_against_a_file(pets, by_name, said):
    pets.labels.add([LabelEvent(by_name(pets)["cat/1.jpg"], "dog")])
    report = import_rows(pets, FILE, [Row("row 2", "cat/1.jpg", ("cat",))])
    assert (report.outranked, said(pets)["cat/1.jpg"]) == (1, "dog")


def test_old_names_of_renamed_classes_are_understood(pets, said):
    pets.classes.rename("cat", "kitten")
    report = import_rows(pets, FILE, [Row("row 2", "dog/3.jpg", ("cat",))])
    assert (report.new_classes, said(pets)["dog/3.jpg"]) == ([], "kitten")


def test_classes_that_differ_in_capitals_only_are_pointed_out(pets):
    report = import_rows(pets, FILE, [Row("row 2", "dog/3.jpg", ("Cat",))], new_classes=True)
    assert "Classes differ only in capitals: Cat, cat. Merge them" in report.warnings[0]


def test_undo_takes_labels_splits_and_groups_back(pets):
    before = pets.images()
    rows = [Row(f"row {n}", i.name, ("dog",), "test", "g") for n, i in enumerate(before)]
    step = import_rows(pets, FILE, rows).step
    assert {(i.label, i.split, i.group) for i in pets.images()} == {("dog", "test", "g")}
    assert undo_import(pets).number == step
    assert pets.images() == before
    pets.scan(quiet=True)
    assert pets.images() == before


def test_undo_goes_back_import_by_import_and_leaves_the_folders(pets):
    for label in ("cat", "dog"):
        import_rows(pets, Path(f"{label}.csv"), [Row("row 2", "cat/1.jpg", (label,))])
    assert [undo_import(pets).what, undo_import(pets).what] == ["dog.csv", "cat.csv"]
    with pytest.raises(ProjectError, match=r"no import of a file to undo.* count: 1 \(scan\)"):
        undo_import(pets)
    assert undo_import(pets, 1).what == "scan"
    with pytest.raises(ProjectError, match="no import with the number 1 to undo"):
        undo_import(pets, 1)


def test_a_file_without_labels_says_so(pets):
    report = import_rows(pets, FILE, [Row("row 2", "cat/1.jpg")])
    assert (report.step, report.warnings) == (None, ["The file gives no image a label."])


def test_paths_in_many_spellings(pets, root, tmp_path, said):
    spellings = {
        tmp_path / "a.csv": ["images/cat/1.jpg", "images\\cat\\1.jpg"],
        root / "cat/b.csv": ["1.jpg", "./1.jpg", "cat/1.jpg", str(root / "cat/1.jpg")],
        Path("elsewhere/c.csv"): ["cat/1.jpg", "cat\\1.jpg", " cat/1.jpg ", "images/cat/1.jpg"],
    }
    for file, paths in spellings.items():
        for path in paths:
            assert import_rows(pets, file, [Row("row 2", path, ("dog",))]).labelled == 1, path


def test_accents_composed_or_not(root, write, pets):
    write("cat/e\u0301.jpg")
    pets.scan(quiet=True)
    assert import_rows(pets, FILE, [Row("row 2", "cat/\u00e9.jpg", ("dog",))]).labelled == 1


@pytest.mark.slow
def test_ten_thousand_rows_take_no_quadratic_time(pets, root, write, tmp_path):
    (root / "many").mkdir()
    for number in range(10_000):
        (root / f"many/{number}.jpg").write_text(str(number))
    pets.scan(quiet=True)
    lines = "".join(f"many/{n}.jpg,cat\n" for n in range(10_000))
    (tmp_path / "labels.csv").write_text(f"path,label\n{lines}")
    start = time.perf_counter()
    assert import_csv(pets, tmp_path / "labels.csv").labelled == 10_000
    assert time.perf_counter() - start < 20
