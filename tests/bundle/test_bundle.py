from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from handful.backbones import OnnxBackbone, session
from handful.bundle import Bundle, Prediction
from handful.core import BundleError
from handful.heads import LinearProbe, NearestNeighbours, PrototypeClassifier, TemperatureScaled

HEADS = [
    PrototypeClassifier(),
    PrototypeClassifier("euclidean"),
    NearestNeighbours(),
    LinearProbe(),
    TemperatureScaled(LinearProbe()),
]


@pytest.fixture(scope="module")
def saved(make: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "model.handful"
    make(path)
    return path


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_every_head_can_be_saved_and_answers_as_it_did(
    make: Callable[..., Bundle], head: Any, tmp_path: Path, backbone: OnnxBackbone
) -> None:
    make(tmp_path / "model.handful", head)
    images = np.random.default_rng(5).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    probabilities, known, embedding = Bundle.load(tmp_path / "model.handful").infer(images)
    X = np.concatenate([backbone.embed(image[None]) for image in images])
    np.testing.assert_allclose(embedding, X, atol=1e-4)
    np.testing.assert_allclose(probabilities, head.predict_proba(X), atol=1e-4)
    assert known.shape == (5,)


def test_predicts_files_bytes_and_names_bad_images(
    saved: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    sources = [
        photos["dark"],
        str(photos["bright"]),
        photos["dark"].read_bytes(),
        tmp_path / "bad.png",
    ]
    said = dict(Bundle.load(saved).predict(sources))
    assert [said[i].label for i in range(3)] == ["dark", "bright", "dark"]  # type: ignore[union-attr]
    assert isinstance(said[3], str)
    first = said[0]
    assert isinstance(first, Prediction)
    assert sum(first.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert first.confidence == max(first.probabilities.values())


def test_an_operating_point_flags_and_leaves_the_label(
    make: Callable[..., Bundle], tmp_path: Path
) -> None:
    bundle = make(
        tmp_path / "m.handful",
        thresholds={"operating_point": {"class": "bright", "threshold": 0.2}},
    )
    proba = np.array([[0.3, 0.7], [0.1, 0.9]], np.float32)
    assert bundle.classes == ["bright", "dark"]
    said = bundle.describe(proba, np.ones(2))
    assert [one.label for one in said] == ["dark", "dark"]
    assert [one.flagged for one in said] == ["bright", None]


def test_drift_is_one_by_chance_and_large_after_a_shift(
    make: Callable[..., Bundle], tmp_path: Path
) -> None:
    mean, std = np.zeros(50), np.ones(50)
    bundle = make(
        tmp_path / "m.handful", reference={"mean": mean.tolist(), "std": std.tolist(), "n": 10**9}
    )
    vectors = np.random.default_rng(0).normal(size=(400, 50))
    assert bundle.drift(vectors.mean(axis=0), 400) == pytest.approx(1, abs=0.3)
    assert bundle.drift(vectors.mean(axis=0) + 0.5, 400) > 5


def test_holds_three_members_and_no_more(saved: Path) -> None:
    with zipfile.ZipFile(saved) as archive:
        assert sorted(archive.namelist()) == ["bundle.json", "model.onnx", "report.json"]
        info = json.loads(archive.read("bundle.json"))
    assert info["format_version"] == 1
    assert set(info["digests"]) == {"model.onnx", "report.json"}


def test_the_same_parts_give_the_same_bytes(make: Callable[..., Bundle], tmp_path: Path) -> None:
    make(tmp_path / "a.handful")
    make(tmp_path / "b.handful")
    assert (tmp_path / "a.handful").read_bytes() == (tmp_path / "b.handful").read_bytes()


def test_a_graph_that_answers_otherwise_is_not_written(
    make: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lying(LinearProbe):
        def to_onnx(self) -> onnx.ModelProto:
            model = super().to_onnx()
            for tensor in model.graph.initializer:
                values = numpy_helper.to_array(tensor)
                if values.dtype == np.float32:
                    tensor.CopyFrom(
                        numpy_helper.from_array(
                            values * np.float32(1.5) + np.float32(0.1), tensor.name
                        )
                    )
            return model

    with pytest.raises(BundleError, match="The exported graph differs from Python"):
        make(tmp_path / "model.handful", Lying())
    assert not (tmp_path / "model.handful").exists()


def rewritten(
    source: Path,
    target: Path,
    change: Callable[[dict[str, bytes]], Any],
    *,
    keep_digests: bool = True,
) -> Path:
    """Write a bundle with its members changed; the digests are made to fit unless told otherwise."""
    import hashlib

    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    if keep_digests and "bundle.json" in members and members["bundle.json"].startswith(b"{"):
        info = json.loads(members["bundle.json"])
        info["digests"] = {
            name: hashlib.sha256(members[name]).hexdigest()
            for name in ("model.onnx", "report.json")
            if name in members
        }
        members["bundle.json"] = json.dumps(info).encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def add(name: str, content: bytes) -> Callable[[dict[str, bytes]], Any]:
    return lambda members: members.update({name: content})


def custom_operator(members: dict[str, bytes]) -> None:
    model = onnx.load_model_from_string(members["model.onnx"])
    model.graph.node.append(helper.make_node("Shell", ["embedding"], ["x"], domain="com.evil"))
    model.opset_import.append(helper.make_opsetid("com.evil", 1))
    members["model.onnx"] = model.SerializeToString()


def external_data(members: dict[str, bytes]) -> None:
    model = onnx.load_model_from_string(members["model.onnx"])
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    members["model.onnx"] = model.SerializeToString()


def info(**facts: Any) -> Callable[[dict[str, bytes]], Any]:
    def change(members: dict[str, bytes]) -> None:
        members["bundle.json"] = json.dumps(
            {**json.loads(members["bundle.json"]), **facts}
        ).encode()

    return change


def wrong_types(members: dict[str, bytes]) -> None:
    model = onnx.load_model_from_string(members["model.onnx"])
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax.input[0] = "images"
    members["model.onnx"] = model.SerializeToString()


DEEP = "".join(f"[{i}," for i in range(20_000)).encode()
REFUSED = {
    "pickle": (add("head.pkl", b"\x80\x04."), r"holds 'head.pkl'"),
    "path outside": (add("../../evil.py", b"x"), r"holds '../../evil.py'"),
    "absolute path": (add("/etc/cron.d/x", b"x"), r"holds '/etc/cron.d/x'"),
    "member missing": (lambda members: members.pop("report.json"), "its members are bundle.json, model.onnx"),
    "ratio": (add("report.json", b"\0" * 50_000_000), "would unpack to 50,000,000 bytes"),
    "custom operator": (custom_operator, "operators of com.evil, which is refused"),
    "external data": (external_data, "other files, which is refused|not a valid ONNX"),
    "not ONNX": (add("model.onnx", b"hello"), "not a valid ONNX file"),
    "not JSON": (add("bundle.json", b"hello"), "bundle.json cannot be read"),
    "JSON too deep": (add("bundle.json", DEEP), "bundle.json cannot be read"),
    "classes of another graph": (info(classes=["a", "b", "c"]), "its graph is not one of 3 classes and 32"),
    "size of another graph": (info(preprocess={"size": 10**7}), "2 classes and 10000000 pixels"),
    "classes that are a number": (info(classes=5), "its bundle.json lacks or has a wrong"),
    "threshold that is a text": (info(thresholds={"known": "x"}), "has a wrong 'thresholds'"),
    "operating point of no class": (
        info(thresholds={"known": 0.1, "operating_point": {"class": "z", "threshold": 0.5}}),
        "has a wrong 'operating_point'",
    ),
    "types that do not fit": (wrong_types, "holds a graph that does not run|not a valid ONNX"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsafe_bundle_is_refused(saved: Path, tmp_path: Path, name: str) -> None:
    change, message = REFUSED[name]
    path = rewritten(saved, tmp_path / "model.handful", change)
    with pytest.raises(BundleError, match=message):
        Bundle.load(path)
    assert not (tmp_path.parent / "evil.py").exists()


def test_a_wrong_digest_is_refused(saved: Path, tmp_path: Path) -> None:
    path = rewritten(
        saved, tmp_path / "model.handful", add("report.json", b"{}"), keep_digests=False
    )
    with pytest.raises(BundleError, match=r"report.json has another digest"):
        Bundle.load(path)


def test_digests_of_another_kind_are_refused(saved: Path, tmp_path: Path) -> None:
    path = rewritten(saved, tmp_path / "model.handful", info(digests=[]), keep_digests=False)
    with pytest.raises(BundleError, match="another digest"):
        Bundle.load(path)


def test_another_packing_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.handful", "w", zipfile.ZIP_LZMA) as archive:
        for name in ("bundle.json", "model.onnx", "report.json"):
            archive.writestr(name, b"x")
    with pytest.raises(BundleError, match="packed in a way"):
        Bundle.load(tmp_path / "model.handful")


def test_onnx_runtimes_own_format_is_not_read(backbone: OnnxBackbone, tmp_path: Path) -> None:
    """Bytes can be both, and then would pass the check of ONNX and run as something else."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.log_severity_level = 4
    content = backbone.model.SerializeToString()
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    content = (tmp_path / "model.ort").read_bytes()
    assert content[4:8] == b"ORTM"
    with pytest.raises(Exception, match="protobuf parsing failed"):
        session(content)


def test_every_damage_of_the_small_members_is_one_kind_of_error(
    saved: Path, tmp_path: Path
) -> None:
    content = saved.read_bytes()
    start = content.index(b"bundle.json")
    for at in range(start + 11, start + 411, 10):
        damaged = bytearray(content[: start + 3000])  # what is read first is damaged first
        damaged[at] ^= 0x5A
        damaged += content[start + 3000 :]
        (tmp_path / "f.handful").write_bytes(damaged)
        with pytest.raises(BundleError):
            Bundle.load(tmp_path / "f.handful")


def test_a_future_format_is_refused(saved: Path, tmp_path: Path) -> None:
    def later(members: dict[str, bytes]) -> None:
        members["bundle.json"] = json.dumps(
            {**json.loads(members["bundle.json"]), "format_version": 99}
        ).encode()

    with pytest.raises(BundleError, match="format version 99"):
        Bundle.load(rewritten(saved, tmp_path / "model.handful", later))


def test_an_absurd_size_is_refused_without_unpacking(saved: Path, tmp_path: Path) -> None:
    content = bytearray(saved.read_bytes())
    at = content.rindex(b"PK\x01\x02")  # the directory entry of the last member, its size at 24
    content[at + 24 : at + 28] = (3 << 30).to_bytes(4, "little")
    (tmp_path / "model.handful").write_bytes(content)
    with pytest.raises(BundleError, match="would unpack to 3,221,225,472 bytes"):
        Bundle.load(tmp_path / "model.handful")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(100)])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.handful").write_bytes(content)
    with pytest.raises(BundleError, match=r"'x\.handful' is not a readable model file"):
        Bundle.load(tmp_path / "x.handful")


def test_no_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"handful fit IMAGES -o model\.handful"):
        Bundle.load(tmp_path / "none.handful")


def test_a_fuzzed_bundle_raises_one_kind_of_error(saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(30):
        damaged = bytearray(content)
        for at in random.integers(0, len(content), 20):
            damaged[at] = random.integers(256)
        tail = int(random.integers(len(content) - 3000, len(content)))
        damaged[tail] ^= 0xFF
        (tmp_path / "f.handful").write_bytes(damaged)
        with pytest.raises(BundleError):
            Bundle.load(tmp_path / "f.handful")


def test_runs_without_handful_and_torch_as_the_manual_says(
    saved: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    """Run the lines of the manual in an interpreter that can import neither; compare the answers."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "run-a-bundle-without-handful.md"
    text = page.read_text(encoding="utf-8")
    code = text.split("```python\n", 1)[1].split("```", 1)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    guard = "import sys\nfor name in ('torch', 'handful'): sys.modules[name] = None\n"
    (tmp_path / "run.py").write_text(guard + code)
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "run.py"), str(saved), *map(str, photos.values())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = [said for _, said in Bundle.load(saved).predict(list(photos.values()))]
    for line, said in zip(done.stdout.splitlines(), expected, strict=True):
        assert isinstance(said, Prediction)
        _, label, confidence = line.rsplit(maxsplit=2)
        assert label == said.label
        assert float(confidence) == pytest.approx(said.confidence, abs=0.011)
