from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import handful.web

ROOM = Path(handful.web.__file__).parent


def test_the_public_names_are_sorted_documented_and_there():
    names = handful.web.__all__
    assert names == sorted(names)
    for name in names:
        assert getattr(handful.web, name).__doc__


def test_the_room_imports_core_alone():
    for file in ROOM.glob("*.py"):
        rooms = re.findall(r"(?:from|import) handful\.(\w+)", file.read_text())
        assert set(rooms) <= {"core", "web"}, file.name


def test_importing_it_loads_no_heavy_package():
    heavy = {"onnxruntime", "onnx", "sklearn", "scipy", "matplotlib", "torch"}
    code = "import sys, handful.web; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert heavy.isdisjoint(loaded)


def test_every_file_has_its_test():
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    untested = {path.stem for path in ROOM.glob("*.py")} - tested
    assert untested == {
        "__init__",
        "admission",
        "labeller",
        "predictor",
    }  # in test_limits; protocols
