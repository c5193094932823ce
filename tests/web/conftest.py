"""What the web tests share: the colour predictor and a client inside the process."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from handful.web import create_app


def _load(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def colours():
    """The module ``colours.py``."""
    return _load("colours")


@pytest.fixture(scope="session")
def pixels():
    """The module ``pixels.py``."""
    return _load("pixels")


@pytest.fixture
def predictor(colours):
    return colours.Colours()


@pytest.fixture
def image(colours):
    """Make the bytes of an image of one colour."""
    return colours.image_bytes


@pytest.fixture
def anyio_backend():
    return "asyncio"


@asynccontextmanager
async def _client(predictor, *, host="127.0.0.1", **options):
    app = create_app(predictor, **options)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=f"http://{host}:8000") as client,
    ):
        yield client


@pytest.fixture
def connect():
    """Open a client of a new application: ``async with connect(predictor, ...) as client``."""
    return _client
