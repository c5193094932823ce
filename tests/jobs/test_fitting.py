from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handful import BackboneChoice, Bundle, Thresholds, fit
from handful.core import BackboneError, ImageError, ProjectError, UInt8
from handful.images import Preprocess, decode
from handful.jobs import FitResult, least_certain, predict, read_report, status

Maker = Callable[..., Path]
SMALL = BackboneChoice(size=32)


def run(folder: Path, **options: Any) -> FitResult:
    options = {"backbone": SMALL, "quiet": True, **options}
    return fit(folder, folder.parent / "model.handful", **options)


def test_a_folder_becomes_a_model_and_a_report(digits: Maker) -> None:
    folder = digits(8, classes="0123", unlabelled=4)
    result = run(folder)
    report = result.report
    assert report["data"]["labelled"] == 32
    assert report["data"]["unlabelled"] == 16
    names = [method["name"] for method in report["methods"]]
    assert names == ["linear_probe", "prototypes", "nearest_neighbours"]
    assert sum(method["chosen"] for method in report["methods"]) == 1
    assert 0 <= result.accuracy.low <= result.accuracy.value <= result.accuracy.high <= 1
    assert result.accuracy.value > 0.5
    assert "cross-validation" in result.accuracy.how
    assert len(report["uncertain"]) == 16
    assert all(row["name"].startswith("unlabelled/") for row in report["uncertain"])
    assert sum(map(sum, report["confusion"]["counts"])) <= 32
    page = result.report_html.read_text(encoding="utf-8")
    assert page.count("<img") >= 16
    rows = list(predict(result.bundle, [folder / "0", folder / "1"], quiet=True))
    right = sum(
        row.prediction.label == Path(row.path).parent.name for row in rows if row.prediction
    )
    assert right >= 14


def test_a_second_run_is_the_same_and_embeds_nothing(digits: Maker) -> None:
    folder = digits(5, classes="012", unlabelled=2)
    first = run(folder)
    model = first.bundle.read_bytes()
    shards = {
        path: path.stat().st_mtime_ns for path in (folder / ".handful").rglob("*.safetensors")
    }
    second = run(folder)
    assert {
        path: path.stat().st_mtime_ns for path in (folder / ".handful").rglob("*.safetensors")
    } == shards
    changing = ("created", "seconds", "methods")

    def lasting(report: dict[str, Any]) -> dict[str, Any]:
        plans = [{**plan, "minutes": None} for plan in report["advice"]["plans"]]
        kept = {k: v for k, v in report.items() if k not in changing}
        return {**kept, "advice": {**report["advice"], "plans": plans}}

    assert lasting(first.report) == lasting(second.report)
    with zipfile.ZipFile(second.bundle) as archive:
        graph = archive.read("model.onnx")
    assert graph in model


def test_images_are_never_written_to(digits: Maker) -> None:
    folder = digits(4)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.png")}
    run(folder)
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.suffix == ".png"
    } == before


def test_the_bundle_holds_no_name_of_an_image(digits: Maker) -> None:
    folder = digits(4, unlabelled=2)
    (folder / "broken-secret.png").write_bytes(b"no image")
    result = run(folder)
    with zipfile.ZipFile(result.bundle) as archive:
        text = archive.read("report.json") + archive.read("bundle.json")
    for secret in (b"digit-", b"unlabelled/", b"broken-secret", str(folder.parent).encode()):
        assert secret not in text
    assert (
        json.loads(zipfile.ZipFile(result.bundle).read("report.json"))["data"]["counts"]["unusable"]
        == 1
    )


def test_the_users_test_split_is_tested_and_never_fitted_on(digits: Maker) -> None:
    folder = digits(8, classes="012")
    for label in "012":
        for path in sorted((folder / label).iterdir())[:3]:
            target = folder / "test" / label / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    result = run(folder)
    assert result.report["test"]["n"] == 9
    assert sum(row["n"] for row in result.report["per_class"]) == 15
    assert Bundle.load(result.bundle).info["reference"]["n"] == 15


def test_a_copy_of_a_training_image_is_left_out_of_the_test(digits: Maker) -> None:
    from PIL import Image

    folder = digits(8, classes="01")
    for label in "01":
        (folder / "test" / label).mkdir(parents=True)
        for path in sorted((folder / label).iterdir())[:2]:
            path.rename(folder / "test" / label / path.name)
    twin = sorted((folder / "0").iterdir())[0]
    Image.open(twin).resize((60, 60)).save(folder / "test" / "0" / "again.png")
    result = run(folder)
    assert result.report["data"]["left_out_of_test"] == 1
    assert result.report["test"]["n"] == 4


def test_one_class_gives_a_known_unknown_scorer(digits: Maker) -> None:
    folder = digits(12, classes="0", unlabelled=4)
    odd = sorted((digits(12, classes="4", name="odd") / "4").iterdir())[-1]
    shutil.copy(odd, folder / "unlabelled" / "odd.png")
    result = run(folder)
    assert result.report["accuracy"]["value"] is None
    assert result.report["uncertain"][0]["name"] == "unlabelled/odd.png"
    bundle = Bundle.load(result.bundle)
    assert bundle.classes == ["0"]
    zeros = [said.known for _, said in bundle.predict(sorted((folder / "0").iterdir()))]  # type: ignore[union-attr]
    other = digits(12, classes="4", name="others")
    fours = [said.known for _, said in bundle.predict(sorted((other / "4").iterdir()))]  # type: ignore[union-attr]
    assert np.median(fours) < 0.5 * np.median(zeros)


def test_one_image_a_class_says_what_it_cannot_say(digits: Maker) -> None:
    result = run(digits(1, classes="012"))
    accuracy = result.accuracy
    assert not accuracy.is_measured or accuracy.high - accuracy.low > 0.5
    assert Bundle.load(result.bundle).classes == ["0", "1", "2"]


def test_no_label_says_how_to_give_one(digits: Maker) -> None:
    folder = digits(3, classes="01")
    for path in folder.rglob("*.png"):
        path.rename(folder / path.name)
    with pytest.raises(ProjectError, match=r"has a label.*handful import IMAGES"):
        run(folder)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="image"):
        run(tmp_path)


def test_bad_images_are_listed_and_the_run_goes_on(digits: Maker) -> None:
    folder = digits(5)
    whole = sorted((folder / "0").iterdir())[0].read_bytes()
    bad = {
        "empty.png": b"",
        "cut.png": whole[: len(whole) // 2],
        "text.jpg": b"hello, I am no image",
    }
    for name, content in bad.items():
        (folder / "1" / name).write_bytes(content)
    result = run(folder)
    listed = {row["name"]: row["reason"] for row in result.report["data"]["unusable"]}
    assert set(listed) == {f"1/{name}" for name in bad}
    assert all(listed.values())
    assert result.report["data"]["labelled"] == 10


def test_an_image_that_could_not_be_read_once_is_tried_again(
    digits: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = digits(5)
    absent = sorted((folder / "0").iterdir())[0]

    def failing(path: Path, preprocess: Preprocess) -> UInt8:
        if path == absent:
            raise ImageError("The file cannot be read (EIO: Input/output error).")
        return decode(path, preprocess)

    with monkeypatch.context() as patch:
        patch.setattr("handful.embeddings.pipeline.decode", failing)
        data = run(folder).report["data"]
    assert (data["labelled"], len(data["unusable"])) == (9, 1)
    data = run(folder).report["data"]
    assert (data["labelled"], len(data["unusable"])) == (10, 0)


def test_a_damaged_report_is_one_message(digits: Maker) -> None:
    folder = digits(2)
    run(folder).report_json.write_text("{")
    with pytest.raises(ProjectError, match=r"is damaged: .*Run: handful fit"):
        read_report(folder)


def test_nothing_left_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "images" / "cat").mkdir(parents=True)
    (tmp_path / "images" / "cat" / "a.png").write_bytes(b"no image")
    with pytest.raises(ProjectError, match=r"None of the 1 image files.*cat/a.png: "):
        run(tmp_path / "images")


def test_max_miss_names_a_class_that_exists(digits: Maker) -> None:
    with pytest.raises(ProjectError, match=r"names the class '7'.*Classes: 0, 1"):
        run(digits(4), thresholds=Thresholds(max_miss=("7", 0.1)))


def test_max_miss_of_one_class_or_one_label_is_refused_early(digits: Maker) -> None:
    with pytest.raises(ProjectError, match="cannot be measured: there is no other class"):
        run(digits(3, classes="1"), thresholds=Thresholds(max_miss=("1", 0.1)))
    folder = digits(3, classes="02", name="single")
    for path in sorted((folder / "2").iterdir())[1:]:
        path.unlink()
    with pytest.raises(ProjectError, match="it has a single label"):
        run(folder, thresholds=Thresholds(max_miss=("2", 0.1)))


def test_a_class_of_the_test_split_alone_is_refused_early(digits: Maker) -> None:
    folder = digits(3)
    (folder / "test").mkdir()
    (digits(2, classes="7", name="more") / "7").rename(folder / "test" / "7")
    with pytest.raises(ProjectError, match="classes without any other label: '7'"):
        run(folder)


def test_max_miss_travels_into_the_bundle(digits: Maker) -> None:
    result = run(digits(10), thresholds=Thresholds(max_miss=("1", 0.2)))
    point = Bundle.load(result.bundle).info["thresholds"]["operating_point"]
    assert point["class"] == "1"
    assert result.report["operating_point"]["miss_rate"]["high"] is not None


def test_preprocessing_travels_into_the_bundle(digits: Maker) -> None:
    folder = digits(4)
    result = run(folder, backbone=BackboneChoice(size=32, tiles=2, crop=(0.1, 0.0, 0.9, 1.0)))
    bundle = Bundle.load(result.bundle)
    assert (bundle.preprocess.tiles, bundle.preprocess.side) == (2, 64)
    assert bundle.preprocess.crop == (0.1, 0.0, 0.9, 1.0)
    assert bundle.infer(np.zeros((1, 64, 64, 3), np.uint8))[2].shape == (1, 2560)


def test_a_number_out_of_range_is_one_message(digits: Maker) -> None:
    with pytest.raises(BackboneError, match="'crop' of a Preprocess"):
        run(digits(2), backbone=BackboneChoice(crop=(0.9, 0.0, 0.1, 1.0)))


def test_sixteen_bit_images_share_one_white(digits: Maker) -> None:
    from PIL import Image

    folder = digits(4)
    for path in folder.rglob("*.png"):
        pixels = np.asarray(Image.open(path)).astype(np.uint16) * 16
        Image.fromarray(pixels).save(path)
    result = run(folder)
    assert Bundle.load(result.bundle).preprocess.white == 4095


def test_groups_and_labels_from_csv(digits: Maker) -> None:
    from handful.jobs import import_labels

    folder = digits(6, classes="01")
    rows = ["path,label,split,group"]
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        target = folder / path.name
        label = path.parent.name
        path.rename(target)
        rows.append(f"{path.name},digit {label},,session {number // 2}")
    (folder / "labels.csv").write_text("\n".join(rows))
    import_labels(folder, folder / "labels.csv")
    result = run(folder)
    assert [row["name"] for row in result.report["data"]["classes"]] == ["digit 0", "digit 1"]
    assert "group" in result.accuracy.how


def test_another_place_for_the_state(digits: Maker, tmp_path: Path) -> None:
    folder = digits(3)
    fit(folder, tmp_path / "m.handful", backbone=SMALL, project_dir=tmp_path / "state", quiet=True)
    assert not (folder / ".handful").exists()
    assert read_report(folder, project_dir=tmp_path / "state")["data"]["labelled"] == 6


def test_a_read_only_folder_asks_for_another_place(
    digits: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = digits(2)

    def refuse(self: Path, *args: Any, **options: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ProjectError, match="--project DIR"):
        run(folder)


def test_a_renamed_class_folder_keeps_the_vectors(digits: Maker) -> None:
    folder = digits(4)
    run(folder)
    before = sorted(path.name for path in (folder / ".handful").rglob("*.safetensors"))
    (folder / "1").rename(folder / "one")
    result = run(folder)
    assert sorted(path.name for path in (folder / ".handful").rglob("*.safetensors")) == before
    assert [row["name"] for row in result.report["data"]["classes"]] == ["0", "one"]


def test_contradictory_labels_are_reported(digits: Maker) -> None:
    folder = digits(5)
    shutil.copy(sorted((folder / "0").iterdir())[0], folder / "1" / "copy.png")
    result = run(folder)
    (row,) = result.report["data"]["contradictions"]
    assert sorted(row["labels"]) == ["0", "1"]


def test_status_says_what_is_there(digits: Maker) -> None:
    summary = status(digits(3, unlabelled=2), quiet=True)
    assert (summary["images"], summary["labelled"], summary["unlabelled"]) == (10, 6, 4)
    json.dumps(summary)


def test_review_lists_the_unknown_and_the_uncertain_first(digits: Maker) -> None:
    folder = digits(8, classes="01", unlabelled=10)
    result = run(folder)
    rows = list(predict(result.bundle, [folder / "unlabelled"], quiet=True))
    first = least_certain(rows, 5)
    keys = [(row.prediction.is_known, row.prediction.confidence) for row in first if row.prediction]
    assert keys == sorted(keys)
    assert len(first) == 5


def test_images_to_predict_may_be_texts_or_one_place(digits: Maker) -> None:
    folder = digits(4)
    model = str(run(folder).bundle)
    said = [
        [row.path for row in predict(model, places, quiet=True)]
        for places in ([folder], [str(folder)], str(folder), folder)
    ]
    assert len(said[0]) == 8 and said.count(said[0]) == 4


def test_a_folder_to_predict_that_cannot_be_read_is_no_empty_one(
    digits: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = digits(4)
    model, scandir = run(folder).bundle, os.scandir

    def refusing(place: Any) -> Any:
        if Path(place).name == "1":
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(ProjectError, match=r"1' cannot be read: Permission denied"):
        list(predict(model, folder, quiet=True))
