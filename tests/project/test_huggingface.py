"""Hugging Face image folders."""

from __future__ import annotations

import pytest

from handful.core import ProjectError
from handful.project import Project, import_huggingface, is_huggingface


@pytest.fixture
def project(root, write):
    write("train/1.jpg"), write("train/sub/2.jpg"), write("test/3.jpg")
    with Project.open(root) as project:
        project.scan(quiet=True)
        yield project


def test_csv_beside_the_images_of_a_split(project, write, root):
    write("train/metadata.csv", "file_name,label,note\n1.jpg,cat,x\nsub/2.jpg,dog,y\n")
    write("test/metadata.csv", "file_name,label\n3.jpg,cat\n")
    import_huggingface(project, root / "train/metadata.csv")
    import_huggingface(project, root / "test/metadata.csv")
    assert {(i.name, i.label, i.split) for i in project.images()} == {
        ("train/1.jpg", "cat", "train"),
        ("train/sub/2.jpg", "dog", "train"),
        ("test/3.jpg", "cat", "test"),
    }


def test_jsonl(project, write, root, said):
    lines = '{"file_name": "1.jpg", "label": "cat"}\n\n{"file_name": "sub/2.jpg", "label": 7}\n'
    write("train/metadata.jsonl", lines)
    report = import_huggingface(project, root / "train/metadata.jsonl", new_classes=True)
    assert (report.labelled, report.new_classes) == (2, ["7", "cat"])


def test_another_column(project, write, root, said):
    write("train/metadata.csv", "file_name,species\n1.jpg,cat\n")
    with pytest.raises(ProjectError, match=r"no column 'label'.*'species'.*--column NAME"):
        import_huggingface(project, root / "train/metadata.csv")
    import_huggingface(project, root / "train/metadata.csv", column="species", new_classes=True)
    assert said(project)["train/1.jpg"] == "cat"


def test_lists_of_labels_are_refused(project, write, root):
    write("train/metadata.jsonl", '{"file_name": "1.jpg", "label": ["cat", "dog"]}\n')
    with pytest.raises(ProjectError, match="line 1: several labels on one image, 'cat', 'dog'"):
        import_huggingface(project, root / "train/metadata.jsonl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1 is not JSON"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"label": "cat"}', "no column 'file_name'"),
        ('{"file_name": "9.jpg", "label": "sub"}', "no image '9.jpg'"),
    ],
)
def test_files_that_cannot_be_read(project, write, root, content, message):
    file = write("train/metadata.jsonl", content)
    with pytest.raises(ProjectError, match=message):
        import_huggingface(project, file)


def test_a_column_of_a_csv_file_is_found_whatever_its_capitals(project, write, root, said):
    write("train/metadata.csv", "file_name;Species\n1.jpg;cat\n")
    import_huggingface(project, root / "train/metadata.csv", column="Species", new_classes=True)
    assert said(project)["train/1.jpg"] == "cat"


def test_a_line_ends_where_json_lines_end(project, write, root, said):
    line = '{"file_name": "1.jpg", "label": "cat", "note": "a\u2028b\u0085c"}\r\n'
    write("train/metadata.jsonl", line)
    import_huggingface(project, root / "train/metadata.jsonl", new_classes=True)
    assert said(project)["train/1.jpg"] == "cat"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("file_name,label\n", True), ("File_name;label\n", True), ("path,file_name\n", False)],
)
def test_a_metadata_file_is_known_by_its_columns(write, root, text, is_one):
    write("metadata.csv", text)
    assert is_huggingface(root / "metadata.csv") == is_one


def test_a_file_that_is_no_table_is_one_message(write, root):
    write("metadata.csv", "x" * 200_000)
    with pytest.raises(ProjectError, match="is not a CSV file"):
        is_huggingface(root / "metadata.csv")
