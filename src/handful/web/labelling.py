"""The application around one folder that is being labelled: its endpoints and their answers.

The token is a part of the address, one for each annotator, so that the tabs of two
annotators in one browser stay apart, and no cookie can be used by another page.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from handful.core import HandfulError, ImageError, usable_cores
from handful.web.guard import LOOPBACK, Guard
from handful.web.labeller import Labeller
from handful.web.limits import RefusedError
from handful.web.pages import page

_MODES = ("auto", "single", "grid")
_MOST_BYTES, _MOST_MESSAGES, _MOST_SCREENS, _MOST_TEXT = 2**20, 200, 12, 500
_KEEP = "private, max-age=86400, immutable"  # an image's address holds its content hash
_STATIC = StaticFiles(directory=Path(__file__).parent / "static")
T = TypeVar("T")


def create_labelling_app(
    labeller: Labeller,
    tokens: Mapping[str, str],
    *,
    allowed_hosts: Sequence[str] = LOOPBACK,
) -> Starlette:
    """Return the application with which people label a folder.

    ``GET /TOKEN/`` is the page. Answers are sent to ``POST /TOKEN/answers`` and
    acknowledged once they are durable.

    Parameters
    ----------
    labeller : Labeller
        The folder.
    tokens : mapping of str to str
        Token to annotator.
    allowed_hosts : sequence of str, default=("localhost", "127.0.0.0/8", "::1/128")
        Names and networks that the Host header may give.

    Examples
    --------
    >>> app = create_labelling_app(labelling, labelling.tokens())  # doctest: +SKIP
    """
    server = _Server(labeller, tokens)
    guard = Middleware(
        Guard, allowed_hosts=allowed_hosts, token=None, pages=(), login=_stranger, refused=_ignored
    )
    return Starlette(
        routes=[
            Route("/", _stranger),
            Mount("/static", _STATIC),
            Mount("/{token}", routes=server.routes()),
        ],
        middleware=[guard],
        exception_handlers={RefusedError: _refused, HTTPException: _http_error},
        lifespan=server.lifespan,
    )


class _Server:
    """The endpoints. What writes runs in one thread, in order; what reads in others."""

    def __init__(self, labeller: Labeller, tokens: Mapping[str, str]) -> None:
        self.labeller, self.tokens = labeller, dict(tokens)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        with (
            ThreadPoolExecutor(1, "handful-write") as self.writer,
            ThreadPoolExecutor(1, "handful-read") as self.reader,
            ThreadPoolExecutor(usable_cores(), "handful-picture") as self.painter,
        ):
            yield

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self.page),
            Route("/state", self.state),
            Route("/next", self.next, methods=["POST"]),
            Route("/answers", self.answers, methods=["POST"]),
            Route("/last", self.last),
            Route("/alike", self.alike, methods=["POST"]),
            Route("/search", self.search, methods=["POST"]),
            Route("/review", self.review),
            Route("/classes", self.classes, methods=["POST"]),
            Route("/target", self.target, methods=["POST"]),
            Route("/export", self.export, methods=["POST"]),
            Route("/advice", self.advice, methods=["POST"]),
            Route("/model", self.model),
            Route("/image/{image}", self.image),
            Mount("/static", _STATIC),  # holds nothing that is secret
        ]

    def annotator(self, request: Request) -> str:
        """Return whose token the address holds, or raise `RefusedError`."""
        given = str(request.path_params.get("token", ""))
        found = [
            name
            for token, name in self.tokens.items()
            if secrets.compare_digest(token.encode(), given.encode())
        ]
        if not found:
            message = "This address is not, or no longer, that of a labelling page. Open the one that was printed."
            raise RefusedError(401, "token", message)
        return found[0]

    async def page(self, request: Request) -> Response:
        try:
            annotator = self.annotator(request)
        except RefusedError:
            return _stranger(request)
        return page(
            "label.html",
            title=self.labeller.title,
            annotator=annotator,
            can_search=self.labeller.can_search,
        )

    async def state(self, request: Request) -> Response:
        return await self._read(self.labeller.state, self.annotator(request))

    async def next(self, request: Request) -> Response:
        annotator, said = await self._said(request)
        mode = said.get("mode", "auto")
        if mode not in _MODES:
            raise RefusedError(422, "mode", f"The mode is one of {_MODES}. Got {mode!r}.")
        n = _number(said, "n", 1, _MOST_SCREENS)
        tiles, tab = _number(said, "tiles", 1, 100), _text(said, "tab")
        is_new, held = said.get("is_new") is True, said.get("held", [])
        if not isinstance(held, list) or not all(isinstance(name, str) for name in held):
            raise RefusedError(422, "held", "'held' is a list of images.")

        def found() -> dict[str, Any]:
            screens = self.labeller.screens(
                annotator, tab, mode, n, tiles, is_new=is_new, held=held
            )
            return {"screens": screens, "state": self.labeller.state(annotator)}

        return await self._read(found)

    async def answers(self, request: Request) -> Response:
        """Acknowledge messages, after they are durable."""
        annotator, said = await self._said(request)
        messages = said.get("messages")
        if not isinstance(messages, list) or not 0 < len(messages) <= _MOST_MESSAGES:
            message = f"Send 1 to {_MOST_MESSAGES} messages."
            raise RefusedError(422, "messages", message)

        def written() -> dict[str, Any]:
            done = self.labeller.answer(annotator, messages)
            return {"done": done, "state": self.labeller.state(annotator)}

        try:
            return JSONResponse(await self._run(self.writer, written))
        except HandfulError as error:
            raise RefusedError(507, "not_saved", str(error)) from error

    async def last(self, request: Request) -> Response:
        return await self._read(self.labeller.last, self.annotator(request))

    async def alike(self, request: Request) -> Response:
        annotator, said = await self._said(request)
        tiles = _number(said, "tiles", 1, 100)
        return await self._read(
            self.labeller.alike, annotator, _text(said, "tab"), _text(said, "image"), tiles
        )

    async def search(self, request: Request) -> Response:
        annotator, said = await self._said(request)
        tiles = _number(said, "tiles", 1, 100)
        return await self._read(
            self.labeller.search, annotator, _text(said, "tab"), _text(said, "text"), tiles
        )

    async def review(self, request: Request) -> Response:
        self.annotator(request)
        return await self._read(self.labeller.review)

    async def classes(self, request: Request) -> Response:
        annotator, said = await self._said(request)
        change = [_text(said, name, most=2000) for name in ("do", "name", "into")]
        try:
            await self._run(self.writer, self.labeller.change_class, *change)
        except (HandfulError, ValueError) as error:
            raise RefusedError(422, "class", str(error)) from error
        return JSONResponse(self.labeller.state(annotator))

    async def target(self, request: Request) -> Response:
        annotator, said = await self._said(request)
        target = said.get("target")
        if target is not None and (isinstance(target, bool) or not isinstance(target, int | float)):
            raise RefusedError(422, "target", f"The target is a share or nothing. Got {target!r}.")
        try:
            self.labeller.set_target(target)
        except ValueError as error:
            raise RefusedError(422, "target", str(error)) from error
        return JSONResponse(self.labeller.state(annotator))

    async def export(self, request: Request) -> Response:
        annotator, _ = await self._said(request)
        self.labeller.export()
        return JSONResponse(self.labeller.state(annotator))

    async def advice(self, request: Request) -> Response:
        annotator, _ = await self._said(request)
        self.labeller.advise()
        return JSONResponse(self.labeller.state(annotator))

    async def model(self, request: Request) -> Response:
        self.annotator(request)
        bundle = self.labeller.bundle
        if bundle is None or not bundle.is_file():
            raise RefusedError(404, "no_model", "There is no model file yet. Export it first.")
        return FileResponse(bundle, filename=bundle.name, media_type="application/octet-stream")

    async def image(self, request: Request) -> Response:
        self.annotator(request)
        side = request.query_params.get("side", "")
        number = int(side) if side.isascii() and side.isdigit() and len(side) < 6 else 0
        try:
            content, kind = await self._run(
                self.painter, self.labeller.picture, request.path_params["image"], number
            )
        except LookupError as error:
            raise RefusedError(404, "no_image", str(error.args[0])) from error
        except FileNotFoundError as error:
            raise RefusedError(410, "vanished", str(error)) from error
        except ImageError as error:
            raise RefusedError(422, "damaged", str(error)) from error
        return Response(content, media_type=kind, headers={"Cache-Control": _KEEP})

    async def _said(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Return the annotator and the JSON object that a request holds."""
        annotator = self.annotator(request)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise RefusedError(413, "too_large", "The message is larger than 1 MiB.")
        try:
            said = json.loads(bytes(body) or b"{}")
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, "malformed", "The message is not JSON.") from error
        if not isinstance(said, dict):
            raise RefusedError(400, "malformed", "The message is not a JSON object.")
        return annotator, said

    async def _read(self, work: Callable[..., Any], *arguments: Any) -> Response:
        try:
            return JSONResponse(await self._run(self.reader, work, *arguments))
        except HandfulError as error:
            raise RefusedError(422, "refused", str(error)) from error

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)


def _text(said: Mapping[str, Any], name: str, most: int = _MOST_TEXT) -> str:
    value = said.get(name, "")
    if not isinstance(value, str) or len(value) > most:
        raise RefusedError(422, name, f"{name!r} is a text of at most {most} letters.")
    return value


def _number(said: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = said.get(name, least)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RefusedError(422, name, f"{name!r} is a number from {least} to {most}.")
    return value


def _stranger(request: Request) -> Response:
    return page("stranger.html", status=401)


def _ignored(refused: RefusedError) -> None:
    pass


async def _refused(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, RefusedError)
    return refused.response()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = {404: "not_found", 405: "method"}.get(error.status_code, "http")
    return RefusedError(error.status_code, reason, error.detail, error.headers).response()
