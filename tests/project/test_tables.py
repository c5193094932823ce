"""CSV in and out."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.core import ProjectError
from handful.project import Project, escape_cell, export_csv, import_csv
from handful.project.tables import unescape_cell


@pytest.fixture
def table(tmp_path):
    def write_table(content, name="labels.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_table


def test_labels_splits_and_groups(pets, table):
    file = table("path,label,split,group\ncat/1.jpg,dog,test,cam 1\ncat/2.jpg,,val,\ndog/3.jpg\n")
    report = import_csv(pets, file)
    assert (report.what, report.images, report.labelled) == ("labels.csv", 3, 1)
    assert [(i.label, i.split, i.group) for i in pets.images()[:3]] == [
        ("dog", "test", "cam 1"), ("cat", "validation", None), ("dog", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffPath,Label\r\ncat/1.jpg, dog \r\n\r\n",
        "path;label\ncat/1.jpg;dog\n",
        "label\tpath\ndog\tcat/1.jpg",
        'path,label\n"cat/1.jpg","dog"\n',
    ],
)
def test_dialects_of_spreadsheets(pets, table, said, content):
    import_csv(pets, table(content))
    assert said(pets)["cat/1.jpg"] == "dog"


def test_row_numbers_count_empty_lines(pets, table):
    with pytest.raises(ProjectError, match="row 4: no image 'x'"):
        import_csv(pets, table("path,label\ncat/1.jpg,cat\n\nx,cat\n"))


def test_unread_columns_are_told(pets, table):
    report = import_csv(pets, table("path,label,splitt\ncat/1.jpg,cat,test\n"))
    assert report.warnings == ["These columns were not read: 'splitt'."]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\n", r"no column 'path'\. Its columns are: 'file', 'label'\. The first line"),
        ("path,lable\n", r"no column 'label' \(did you mean 'lable'\?\)"),
        ("path,cat,dog\n1.jpg,1,0\n", r"no column 'label'"),
        ("", r"is empty\. The first line must be: path,label"),
        (b"path,label\ncat/1.jpg,caf\xe9\n", r"not UTF-8 text \(byte 24\)\. Save it as UTF-8"),
        ('path,label\n"cat', r"is not a CSV file: .*\. Export it anew"),
    ],
)
def test_files_that_cannot_be_read(pets, table, content, message):
    with pytest.raises(ProjectError, match=message):
        import_csv(pets, table(content))


def test_missing_file(pets, tmp_path):
    with pytest.raises(ProjectError, match=r"gone\.csv' cannot be read: no such file"):
        import_csv(pets, tmp_path / "gone.csv")


@pytest.mark.parametrize(
    "name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@a.jpg", "'=a.jpg", "'quoted.jpg"]
)
def test_cells_that_a_spreadsheet_would_run_are_escaped(root, write, tmp_path, name):
    write(f"=cmd/{name}"), write(name)
    out = tmp_path / "out.csv"
    with Project.open(root) as project:
        project.scan(quiet=True)
        assert export_csv(project, out) == 2
        rows = list(csv.reader(out.read_text().splitlines()))
        assert all(cell[:1] not in ("=", "+", "-", "@") for row in rows for cell in row)
        assert ["'=cmd/" + name, "'=cmd", "", ""] in rows
        assert import_csv(project, out).images == 2  # and found again


@settings(deadline=None)
@given(st.text())
def test_escaping_is_undone_exactly(cell):
    assert not escape_cell(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unescape_cell(escape_cell(cell)) == cell


def test_export_and_import_into_a_fresh_project(pets, root, table, tmp_path):
    import_csv(pets, table("path,label,split,group\nunlabelled/5.jpg,cat,test,cam;1\n"))
    out = tmp_path / "out.csv"
    assert export_csv(pets, out) == 5
    assert out.read_text().splitlines()[0] == "path,label,split,group"
    with Project.open(root, project_dir=tmp_path / "fresh") as fresh:
        fresh.scan(quiet=True)
        import_csv(fresh, out)
        assert fresh.images() == pets.images()


def test_export_of_a_choice(pets, tmp_path):
    assert export_csv(pets, tmp_path / "out.csv", images=pets.images()[:2]) == 2


def test_names_that_are_not_utf8_come_back(root, tmp_path):
    import os

    (root / os.fsdecode(b"\xff.jpg")).write_text("x")
    with Project.open(root) as project:
        project.scan(quiet=True)
        export_csv(project, tmp_path / "out.csv")
        assert import_csv(project, tmp_path / "out.csv").images == 1
