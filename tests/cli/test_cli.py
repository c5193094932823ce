from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from handful.cli import main

Maker = Callable[..., Path]
COMMANDS = sorted(main.commands)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture
def model(digits: Maker, run: Callable[..., Result]) -> Path:
    folder = digits(5, unlabelled=3)
    done = run("fit", folder, "--size", 32, "-q")
    assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, run: Callable[..., Result]) -> None:
    done = run(command, "--help")
    assert done.exit_code == 0
    assert all(
        option.help
        for option in main.commands[command].params
        if option.param_type_name == "option"
    ), "every option has its sentence"


def test_the_verbs_are_all_there() -> None:
    expected = {
        "fit",
        "predict",
        "serve",
        "status",
        "embed",
        "report",
        "import",
        "export",
        "backbones",
        "doctor",
        "demo",
    }
    assert expected <= set(COMMANDS)


def test_fit_prints_what_matters_and_where_the_files_are(
    digits: Maker, run: Callable[..., Result], tmp_path: Path
) -> None:
    done = run("fit", digits(6), "--size", 32, "-o", "digits.handful")
    assert done.exit_code == 0
    assert "linear_probe" in done.stdout
    assert "digits.handful" in done.stdout
    assert (tmp_path / "digits.handful").is_file()
    assert "embed" in done.stderr


def test_fit_json_is_json_alone(digits: Maker, run: Callable[..., Result]) -> None:
    done = run("fit", digits(4), "--size", 32, "--json")
    values = json.loads(done.stdout)
    assert values["model"] == "model.handful"
    assert values["accuracy"]["low"] <= values["accuracy"]["value"]
    assert done.stderr == ""


def test_predict_in_three_forms(model: Path, run: Callable[..., Result]) -> None:
    (model / "unlabelled" / "bad.png").write_bytes(b"")
    table = run("predict", "model.handful", model / "unlabelled", "-q")
    assert table.exit_code == 0
    assert "confidence" in table.stdout
    rows = json.loads(run("predict", "model.handful", model / "unlabelled", "--json", "-q").stdout)
    lines = run("predict", "model.handful", model / "unlabelled", "--format", "jsonl", "-q").stdout
    assert [json.loads(line) for line in lines.splitlines()] == rows
    good = [row for row in rows if "error" not in row]
    assert len(rows) == 7
    assert set(good[0]) == {
        "path", "label", "confidence", "known", "is_known", "probabilities", "flagged"
    }  # fmt: skip
    text = run("predict", "model.handful", model / "unlabelled", "--format", "csv", "-q").stdout
    records = list(csv.DictReader(io.StringIO(text)))
    assert [record["label"] for record in records] == [row.get("label", "") for row in rows]
    assert sum(bool(record["error"]) for record in records) == 1


def test_csv_cells_that_a_spreadsheet_would_run_are_escaped(
    model: Path, run: Callable[..., Result]
) -> None:
    source = next((model / "unlabelled").iterdir())
    for name in ("=cmd.png", "+1.png", "-1.png", "@x.png"):
        (model.parent / name).write_bytes(source.read_bytes())
        text = run("predict", "--format", "csv", "-q", "--", "model.handful", name).stdout
        assert text.splitlines()[1].startswith(f"'{name}")


def test_review_lists_only_the_least_certain(model: Path, run: Callable[..., Result]) -> None:
    done = run("predict", "model.handful", model / "unlabelled", "--review", 2, "--json", "-q")
    assert len(json.loads(done.stdout)) == 2


def test_only_bad_images_is_exit_code_1(
    model: Path, run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    assert run("predict", "model.handful", "bad.png", "-q").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("fit", "nowhere"), 1, "There is no folder"),
        (("predict", "none.handful", "."), 1, "No such model"),
        (("fit", ".", "--backbone", "efficientnet_lite"), 1, "no image|No image|did you mean"),
        (("fit", ".", "--crop", "1,2,3"), 2, "expected left,top,right,bottom"),
        (("fit", ".", "--max-miss", "crack"), 2, "expected CLASS=RATE"),
        (("fit", ".", "--method", "magic"), 2, "'magic' is not one of"),
        (("import", "."), 2, "Give a file of labels, or --undo alone"),
        (("import", ".", "none.csv"), 1, "No such file: 'none.csv'"),
        (("report", "."), 1, "There is no project"),
        (("embed", ".", "-o", "x.txt"), 1, "written as .npz or .parquet"),
    ],
)
def test_bad_input_is_one_message_and_no_traceback(
    arguments: tuple[str, ...], code: int, message: str, run: Callable[..., Result]
) -> None:
    import re

    done = run(*arguments)
    assert done.exit_code == code, done.output
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_an_option_beats_the_file_which_beats_the_default(
    digits: Maker, run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "handful.toml").write_text(
        '[fit]\nsize = 32\nmethod = "prototypes"\noutput = "from-file.handful"\n'
    )
    values = json.loads(run("fit", digits(3), "--json").stdout)
    assert values["chosen"]["name"] == "prototypes"
    assert values["backbone"]["preprocess"]["size"] == 32
    assert values["model"] == "from-file.handful"
    values = json.loads(run("fit", digits(3), "--method", "linear_probe", "--json").stdout)
    assert values["chosen"]["name"] == "linear_probe"
    settings = json.loads(run("doctor", "--json").stdout)["settings"]
    assert {"option": "fit --method", "value": "prototypes", "from": "handful.toml"} in settings
    assert {"option": "fit --seed", "value": 0, "from": "default"} in settings


def test_keys_of_the_file_are_the_long_options(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "handful.toml").write_text(
        '[fit]\nbackbone = "onnx:none.onnx"\nproject = "state"\nmax_unknown = 0.01\n'
        '[predict]\nformat = "csv"\njobs = 1\n'
    )
    settings = json.loads(run("doctor", "--json").stdout)["settings"]
    chosen = {row["option"]: row["value"] for row in settings if row["from"] == "handful.toml"}
    assert chosen == {
        "fit --backbone": "onnx:none.onnx",
        "fit --project": "state",
        "fit --max-unknown": 0.01,
        "predict --format": "csv",
        "predict --jobs": 1,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fit]\nmethd = 1", "has no option 'methd' (did you mean 'method'?)"),
        ("[fitt]\nsize = 1", "no command 'fitt' (did you mean 'fit'?)"),
        ("[fit\n", "is not readable TOML"),
    ],
)
def test_a_wrong_settings_file_is_refused(
    text: str, message: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "handful.toml").write_text(text)
    done = run("doctor")
    assert done.exit_code == 1
    assert message in done.stderr


def test_labels_go_in_out_and_back(
    digits: Maker, run: Callable[..., Result], tmp_path: Path
) -> None:
    folder = digits(3)
    (tmp_path / "more.csv").write_text(
        "path,label\n0/" + sorted((folder / "0").iterdir())[0].name + ",1\n"
    )
    assert run("import", folder, "more.csv").exit_code == 0
    assert json.loads(run("status", folder, "--json").stdout)["classes"] == [
        {"name": "0", "n": 2},
        {"name": "1", "n": 4},
    ]
    assert "Taken back" in run("import", folder, "--undo").stdout
    assert json.loads(run("status", folder, "--json").stdout)["classes"] == [
        {"name": "0", "n": 3},
        {"name": "1", "n": 3},
    ]
    assert run("export", folder, "-o", "out.csv").stdout == "6 images written to out.csv\n"
    assert run("export", folder, "-o", "tasks.json").exit_code == 0
    assert len(json.loads((tmp_path / "tasks.json").read_text())) == 6


def test_status_report_and_backbones_print(
    model: Path, run: Callable[..., Result], tmp_path: Path
) -> None:
    assert "5  0" in run("status", model).stdout
    assert run("report", model, "-o", "r.html").stdout == "r.html\n"
    assert (tmp_path / "r.html").read_text().startswith("<!")
    assert json.loads(run("report", model, "--json").stdout)["data"]["labelled"] == 10
    assert "efficientnet_lite0" in run("backbones").stdout


def test_vectors_for_other_programs(
    digits: Maker, run: Callable[..., Result], tmp_path: Path
) -> None:
    import numpy as np

    folder = digits(3)
    assert run("embed", folder, "-o", "v.npz", "--size", 32, "-q").exit_code == 0
    with np.load(tmp_path / "v.npz") as values:
        X, labels = values["X"], values["labels"]
    assert X.shape == (6, 1280)
    assert sorted(set(labels)) == ["0", "1"]
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'parquet'")
    assert run("embed", folder, "-o", "v.parquet", "--size", 32, "-q").exit_code == 0
    table = parquet.read_table(tmp_path / "v.parquet")
    np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), X)


def test_parquet_without_pyarrow_says_what_to_install(
    digits: Maker, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = run("embed", digits(2), "-o", "v.parquet", "-q")
    assert done.exit_code == 1
    assert "pip install 'handful[parquet]'" in done.stderr


def test_a_full_disk_is_one_message(
    model: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    done = run("report", model, "-o", "r.html")
    assert done.exit_code == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.output


def test_a_model_of_another_folder_is_not_replaced_unasked(
    model: Path, digits: Maker, run: Callable[..., Result], tmp_path: Path
) -> None:
    before = (tmp_path / "model.handful").read_bytes()
    other = digits(3, classes="45", name="other")
    done = run("fit", other, "--size", 32, "-q")
    assert done.exit_code == 1
    assert "was not made from" in done.stderr
    assert (tmp_path / "model.handful").read_bytes() == before
    assert run("fit", other, "--size", 32, "-q", "-o", "model.handful").exit_code == 0
    assert run("fit", model, "--size", 32, "-q", "-o", "again.handful").exit_code == 0


def test_long_names_are_never_cut(model: Path, run: Callable[..., Result], tmp_path: Path) -> None:
    name = "a-very-long-name-" * 12 + ".png"
    (tmp_path / name).write_bytes(next((model / "0").iterdir()).read_bytes())
    assert name in run("predict", "model.handful", name, "-q").stdout


def test_what_must_not_be_missed_is_flagged_and_said(
    digits: Maker, run: Callable[..., Result], tmp_path: Path
) -> None:
    folder = digits(8)
    done = run("fit", folder, "--size", 32, "--max-miss", "1=0.2", "-q")
    assert done.exit_code == 0
    assert "1" in done.stdout.splitlines()[-3]
    rows = json.loads(run("predict", "model.handful", folder / "1", "--json", "-q").stdout)
    assert sum(row["flagged"] == "1" for row in rows) >= 6
    assert all(
        row["label"] == max(row["probabilities"], key=row["probabilities"].get) for row in rows
    )


def test_interruptions_at_any_moment_are_no_traceback(digits: Maker, tmp_path: Path) -> None:
    import signal
    import subprocess
    import sys
    import time

    folder = digits(10, unlabelled=30)
    for moment in (0.3, 0.8, 1.5):
        process = subprocess.Popen(
            [sys.executable, "-c", "from handful.cli import main; main()", "fit", str(folder)],
            cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=200)[1]
        assert "initialization failed" not in said
        assert process.returncode in (130, -2, 1, 0), said
        if moment > 0.5:
            assert "Traceback" not in said, said
