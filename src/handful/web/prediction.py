"""The application around one model: its endpoints and their answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from handful.web.admission import Admission
from handful.web.batching import Batcher, internal_error
from handful.web.guard import LOOPBACK, Guard
from handful.web.limits import Limits, RefusedError
from handful.web.metrics import CONTENT_TYPE
from handful.web.monitoring import Monitoring, Observed
from handful.web.openapi import openapi
from handful.web.pages import facts, page
from handful.web.predictor import Predictor
from handful.web.uploads import Upload, read_uploads

_log = logging.getLogger(__name__)
_PAGES = ("/", "/docs")


def create_app(
    predictor: Predictor,
    *,
    token: str | None = None,
    allowed_hosts: Sequence[str] = LOOPBACK,
    limits: Limits | None = None,
) -> Starlette:
    """Return the application that classifies images with one model.

    It answers ``POST /predict``, ``GET /`` (a page to drop images on), ``/model``, ``/health``,
    ``/metrics`` (Prometheus), ``/openapi.json`` and ``/docs``. Nothing it serves loads anything
    from the network.

    Parameters
    ----------
    predictor : Predictor
        The model.
    token : str, optional
        Demanded from every client, as a Bearer header, ``?token=`` or the page's cookie.
    allowed_hosts : sequence of str, default=("localhost", "127.0.0.0/8", "::1/128")
        Names and networks that the Host header may give.
    limits : Limits, optional
        Sizes, batches and the queue.

    Returns
    -------
    Starlette
        Needs its lifespan run, as every ASGI server does.

    Examples
    --------
    >>> app = create_app(predictor, limits=Limits(max_files=8))  # doctest: +SKIP
    >>> uvicorn.run(app)  # doctest: +SKIP
    """
    limits = limits or Limits()
    server = _Server(predictor, limits, needs_token=token is not None)
    guard = Middleware(
        Guard,
        allowed_hosts=allowed_hosts,
        token=token,
        pages=_PAGES,
        login=server.login,
        refused=server.count,
    )
    routes = server.routes()
    paths = [route.path for route in routes if isinstance(route, Route)]
    observed = Middleware(Observed, monitoring=server.monitoring, paths=paths)
    return Starlette(
        routes=routes,
        middleware=[observed, guard],
        exception_handlers={RefusedError: server.refused, HTTPException: server.http_error},
        lifespan=server.lifespan,
    )


class _Server:
    """The endpoints, and what they share."""

    def __init__(self, predictor: Predictor, limits: Limits, *, needs_token: bool) -> None:
        self.predictor, self.limits = predictor, limits
        self.admission = Admission(limits)
        self.monitoring = Monitoring(predictor, waiting=lambda: self.admission.images)
        self.batcher = Batcher(predictor, limits, self.monitoring)
        self.needs_token = needs_token
        self.document = openapi(predictor, limits, needs_token=needs_token)

    def routes(self) -> list[Route | Mount]:
        return [
            Route("/", self.home),
            Route("/docs", self.docs),
            Route("/predict", self.predict, methods=["POST"]),
            Route("/model", self.model),
            Route("/health", self.health),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ]

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with self.batcher:
            yield

    async def predict(self, request: Request) -> Response:
        """Answer every image of one request."""
        started = time.perf_counter()
        with self.admission.ticket() as ticket:
            uploads = await read_uploads(request, self.limits, ticket)
            items = await asyncio.gather(*(self._item(upload) for upload in uploads))
        self.monitoring.latency.observe(time.perf_counter() - started)
        return _together(uploads, items)

    async def _item(self, upload: Upload) -> dict[str, Any] | RefusedError:
        try:
            if upload.refused is not None:
                raise upload.refused
            return await self.batcher.predict(upload.content)
        except RefusedError as refused:
            self.count(refused)
            return refused
        except Exception:
            _log.exception("The server failed on one image of %d bytes", len(upload.content))
            failed = internal_error()
            self.count(failed)
            return failed

    async def home(self, request: Request) -> Response:
        limits = {name: getattr(self.limits, name) for name in ("max_bytes", "max_files")}
        limits["max_request_bytes"] = self.limits.max_request_bytes
        return page("home.html", model=facts(self.predictor), limits=limits)

    async def docs(self, request: Request) -> Response:
        return page("docs.html", model=facts(self.predictor))

    def login(self, request: Request) -> Response:
        return page(
            "login.html", status=401, path=request.url.path, tried="token" in request.query_params
        )

    async def model(self, request: Request) -> Response:
        classes = list(self.predictor.classes)
        return JSONResponse({**self.predictor.info, "classes": classes})

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        return PlainTextResponse(self.monitoring.text(), headers={"Content-Type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(self.document)

    async def refused(self, request: Request, refused: Exception) -> Response:
        assert isinstance(refused, RefusedError)
        self.count(refused)
        return refused.response()

    async def http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        reason = {404: "not_found", 405: "method"}.get(error.status_code, "http")
        return await self.refused(
            request, RefusedError(error.status_code, reason, error.detail, error.headers)
        )

    def count(self, refused: RefusedError) -> None:
        self.monitoring.errors.add(refused.reason)


def _together(
    uploads: Sequence[Upload], items: Sequence[dict[str, Any] | RefusedError]
) -> Response:
    """Return the response of all images; its status is an error only if no image was answered."""
    predictions: list[dict[str, Any]] = []
    refusals = [item for item in items if isinstance(item, RefusedError)]
    for upload, item in zip(uploads, items, strict=True):
        answer = {"error": item.as_dict()} if isinstance(item, RefusedError) else item
        predictions.append({"name": upload.name, **answer})
    if len(refusals) < len(items):
        return JSONResponse({"predictions": predictions})
    statuses = {refused.status for refused in refusals}
    status = statuses.pop() if len(statuses) == 1 else 422
    return JSONResponse({"error": refusals[0].as_dict(), "predictions": predictions}, status)
