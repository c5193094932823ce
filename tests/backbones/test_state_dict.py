from __future__ import annotations

import collections
import pickle
from pathlib import Path

import numpy as np
import pytest

from handful.backbones.packaged import weights_file
from handful.backbones.state_dict import _MAGIC, read_state_dict
from handful.core import BackboneError


def test_reads_every_tensor_of_the_packaged_weights() -> None:
    weights = read_state_dict(weights_file())
    assert len(weights) == 296
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_fc.weight"].dtype == np.float32
    assert all(np.isfinite(value).all() for value in weights.values())


class _Evil:
    def __reduce__(self) -> object:
        return (print, ("code ran",))


def _legacy(path: Path, state: object, storages: bytes = b"") -> Path:
    parts = [pickle.dumps(value, 2) for value in (_MAGIC, 1001, {}, state, [])]
    path.write_bytes(b"".join(parts) + storages)
    return path


def test_code_in_a_weights_file_never_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _legacy(tmp_path / "evil.pth", collections.OrderedDict(a=_Evil()))
    with pytest.raises(
        BackboneError, match=r"__builtin__\.print.*not a tensor of numbers: refused"
    ):
        read_state_dict(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04zip", b"\x80\x02."], ids=["empty", "zip", "stack"]
)
def test_another_file_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(BackboneError, match=r"other\.pth"):
        read_state_dict(tmp_path / "other.pth")


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    whole = weights_file().read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BackboneError, match="end too early"):
        read_state_dict(tmp_path / "cut.pth")


def test_a_tensor_past_its_storage_is_refused(tmp_path: Path) -> None:
    whole = bytearray(weights_file().read_bytes())
    at = whole.index(b"(K K\x03K\x03K\x03t")  # the stem's shape 32, 3, 3, 3
    whole[at + 2] = 255
    (tmp_path / "grown.pth").write_bytes(whole)
    with pytest.raises(BackboneError, match="past its storage"):
        read_state_dict(tmp_path / "grown.pth")
