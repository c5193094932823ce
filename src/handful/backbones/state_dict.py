"""Read a legacy ``torch.save`` state dict with numpy alone; it can hold nothing but tensors of numbers.

The format (torch before 1.6) is five pickles, one after the other (a magic
number, the protocol, the machine's sizes, the state dict with storages by key,
the list of keys), followed by each storage: its length in an int64, its bytes.
The unpickler here resolves four names, so no code in the file can run.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from handful.core import Array, BackboneError

_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Tensor:
    """A tensor of the file before its storage is read."""

    def __init__(
        self,
        storage: tuple[Any, ...],
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        *_: Any,
    ) -> None:
        self.key, self.dtype = storage[2], storage[1]
        self.offset, self.size, self.stride = offset, size, stride

    def of(self, storage: Array) -> Array:
        """Return the array, checked to lie inside its storage."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True))
        if self.offset < 0 or min(self.stride, default=0) < 0 or last >= len(storage):
            raise BackboneError("A tensor reaches past its storage: the file is damaged.")
        strides = [s * storage.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.size, strides).copy()


class _TensorsOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise BackboneError(
            f"The weights name {module}.{name}, which is not a tensor of numbers: refused."
        )

    def persistent_load(self, pid: Any) -> Any:
        return pid


def read_state_dict(path: Path) -> dict[str, Array]:
    """Return the tensors of a legacy-format ``.pth`` file by name.

    Parameters
    ----------
    path : Path
        A file of ``torch.save(model.state_dict())``, written by torch before
        1.6 or with ``_use_new_zipfile_serialization=False``.

    Returns
    -------
    dict of str to ndarray
        float32 and int64 arrays in the file's order.

    Raises
    ------
    BackboneError
        If the file holds anything but tensors of numbers, or is damaged.
    """
    with path.open("rb") as file:
        try:
            if _TensorsOnly(file).load() != _MAGIC:
                raise BackboneError(f"{str(path)!r} is not a legacy torch file.")
            _TensorsOnly(file).load()  # protocol
            _TensorsOnly(file).load()  # sizes of C types; the storages below are little-endian
            tensors = _TensorsOnly(file).load()
            keys = _TensorsOnly(file).load()
        except (
            pickle.UnpicklingError,
            EOFError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
        ) as error:
            raise BackboneError(f"{str(path)!r} is not a readable state dict: {error}.") from error
        dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
        storages = {key: _read_storage(file, dtypes[key]) for key in keys}
    return {name: tensor.of(storages[tensor.key]) for name, tensor in tensors.items()}


def _read_storage(file: BinaryIO, dtype: np.dtype[Any]) -> Array:
    length = int.from_bytes(file.read(8), "little")
    content = file.read(length * dtype.itemsize)
    if len(content) != length * dtype.itemsize:
        raise BackboneError("The weights end too early: the file is damaged.")
    return np.frombuffer(content, dtype)
