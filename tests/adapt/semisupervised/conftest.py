"""Small networks and images for the semi-supervised methods: those of the methods without labels."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "small", Path(__file__).parents[1] / "selfsupervised" / "conftest.py"
)


@pytest.fixture
def small() -> Any:
    """Return the module with ``network(kind)`` and ``pictures(n)``."""
    assert _SPEC is not None and _SPEC.loader is not None
    module = importlib.util.module_from_spec(_SPEC)
    _SPEC.loader.exec_module(module)
    return module
