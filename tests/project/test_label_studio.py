"""Label Studio's JSON, both ways."""

from __future__ import annotations

import json

import pytest

from handful.core import ProjectError
from handful.project import Project, export_label_studio, import_label_studio


@pytest.fixture
def tasks(tmp_path):
    def write_tasks(*tasks):
        path = tmp_path / "tasks.json"
        path.write_text(json.dumps(tasks))
        return path

    return write_tasks


def task(image, *choices, **annotation):
    result = [{"type": "choices", "from_name": "c", "value": {"choices": list(choices)}}]
    return {"id": 11, "data": {"image": image}, "annotations": [{"result": result, **annotation}]}


@pytest.mark.parametrize(
    "address",
    [
        "cat/1.jpg",
        "/data/local-files/?d=cat/1.jpg",
        "/data/local-files/?d=images%2Fcat/1.jpg",
        "/data/upload/3/1a2b3c4d-1.jpg",
    ],
)
def test_images_are_found_by_their_address(pets, tasks, said, address):
    import_label_studio(pets, tasks(task(address, "dog")))
    assert said(pets)["cat/1.jpg"] == "dog"


@pytest.mark.parametrize(
    "address", ["s3://bucket/other/1.jpg", "http://x/1.jpg", "other/1.jpg", ""]
)
def test_a_like_name_elsewhere_is_not_taken_for_the_image(pets, tasks, address):
    with pytest.raises(ProjectError, match=r"task 11: (no image|empty path)"):
        import_label_studio(pets, tasks(task(address, "dog")))


def test_json_min(pets, tasks, said):
    import_label_studio(
        pets,
        tasks(
            {"image": "cat/1.jpg", "id": 1, "choice": "dog", "annotator": 1},
            {"image": "cat/2.jpg", "id": 2, "choice": {"choices": ["dog"]}},
            {"image": "dog/3.jpg", "id": 3},
        ),
    )
    assert [said(pets)[n] for n in ("cat/1.jpg", "cat/2.jpg", "dog/3.jpg")] == ["dog"] * 3


def test_cancelled_and_other_annotations_are_left_out(pets, tasks, said):
    other = {"data": {"image": "cat/2.jpg"}, "annotations": [{"result": [{"type": "brushlabels"}]}]}
    import_label_studio(pets, tasks(task("cat/1.jpg", "dog", was_cancelled=True), other))
    assert (said(pets)["cat/1.jpg"], said(pets)["cat/2.jpg"]) == ("cat", "cat")


def test_two_choices_in_one_annotation_are_refused(pets, tasks):
    with pytest.raises(ProjectError, match="task 11: several labels on one image, 'cat', 'dog'"):
        import_label_studio(pets, tasks(task("cat/1.jpg", "cat", "dog")))


def test_the_latest_annotation_of_one_person_holds(pets, tasks, said):
    both = task("cat/1.jpg", "dog", completed_by=1, updated_at="2024-02-01T00:00:00Z")
    both["annotations"] += task(
        "cat/1.jpg", "cat", completed_by=1, updated_at="2024-01-01T00:00:00Z"
    )["annotations"]
    import_label_studio(pets, tasks(both))
    assert said(pets)["cat/1.jpg"] == "dog"


def test_people_who_disagree_leave_no_label(pets, tasks, said):
    both = task("cat/1.jpg", "dog", completed_by={"id": 1, "email": "ana@x.org"})
    both["annotations"] += task("cat/1.jpg", "cat", completed_by=2)["annotations"]
    report = import_label_studio(pets, tasks(both))
    assert "by two annotators" in report.warnings[0]
    assert said(pets)["cat/1.jpg"] is None
    assert [e.event.annotator for e in pets.labels.events()][-2:] == ["ana@x.org", "2"]


def test_round_trip_into_a_fresh_project(pets, root, tmp_path):
    out = tmp_path / "out.json"
    suggested = {pets.images()[4].hash: ("cat", 0.75)}
    assert export_label_studio(pets, out, predictions=suggested, model_version="v1") == 5
    written = json.loads(out.read_text())
    assert written[4]["data"]["image"] == "/data/local-files/?d=unlabelled/5.jpg"
    assert "annotations" not in written[4]
    assert written[4]["predictions"][0]["score"] == 0.75
    assert written[0]["annotations"][0]["result"][0]["value"] == {"choices": ["cat"]}
    with Project.open(root, project_dir=tmp_path / "fresh") as fresh:
        fresh.scan(quiet=True)
        fresh.labels.undo(1)
        import_label_studio(fresh, out)
        assert [i.label for i in fresh.images()] == [i.label for i in pets.images()]


def test_hash_finds_an_image_that_was_renamed_meanwhile(pets, root, tmp_path):
    out = tmp_path / "out.json"
    export_label_studio(pets, out, images=pets.images()[:1])
    (root / "cat/1.jpg").rename(root / "unlabelled/moved.jpg")
    pets.scan(quiet=True)
    assert import_label_studio(pets, out).labelled == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ('{"a": 1}', "is not an export of Label Studio: a list of tasks"),
        ("[1]", "is not an export of Label Studio"),
        ('[{"data": {"image": "cat/1.jpg"}, "annotations": [7]}]', "task 1 is not as Label Studio"),
        ('[{"data": 3}]', "task 1 is not as Label Studio"),
    ],
)
def test_files_that_cannot_be_read(pets, tmp_path, content, message):
    (tmp_path / "tasks.json").write_text(content)
    with pytest.raises(ProjectError, match=message):
        import_label_studio(pets, tmp_path / "tasks.json")


@pytest.mark.parametrize("handful", [{}, [1], 5])
def test_a_hash_of_another_kind_is_not_a_hash(pets, tasks, said, handful):
    strange = task("cat/1.jpg", "dog")
    strange["data"]["handful"] = handful
    import_label_studio(pets, tasks(strange))
    assert said(pets)["cat/1.jpg"] == "dog"


def test_an_address_that_is_none_is_one_message(pets, tasks):
    with pytest.raises(ProjectError, match="task 1 is not as Label Studio writes it"):
        import_label_studio(pets, tasks(task("http://[cat/1.jpg", "dog")))


def test_a_name_that_is_no_text_is_written_out(pets, tasks):
    import_label_studio(pets, tasks(task("cat/1.jpg", "dog", completed_by="\ud800")))
    assert pets.labels.events()[-1].event.annotator == "\\ud800"


def test_too_deep_a_file_is_one_message(pets, tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ProjectError, match="is not JSON"):
        import_label_studio(pets, tmp_path / "deep.json")
