"""Who may talk to the server: Host, Origin and token, and the headers that protect its pages.

A web page of a stranger can send requests to a server on the reader's own machine.
The Host header stops it from reading the answers by way of a name that it points
there (DNS rebinding); the Origin header stops it from sending anything. On any
other address a token is demanded, in a header, in the query or in the cookie that
opening a page with ``?token=`` leaves.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import URL, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handful.core import HandfulError
from handful.web.limits import RefusedError

LOOPBACK = ("localhost", "127.0.0.0/8", "::1/128")
ANY_ADDRESS = ("0.0.0.0/0", "::/0")
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_OPEN_PATHS = ("/health", "/static/")


class Guard:
    """ASGI middleware that refuses strangers and adds `SECURITY_HEADERS` to every answer.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    allowed_hosts : sequence of str
        Names, and networks such as ``"127.0.0.0/8"``, that the Host header may give.
    token : str or None
        Demanded for everything but ``/health`` and ``/static/``; None demands nothing.
    pages : sequence of str
        Paths that a person opens: they show a form where the token is missing.
    login : callable
        Returns that form for a request.
    refused : callable
        Called with every refusal, to count it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Sequence[str],
        token: str | None,
        pages: Sequence[str],
        login: Callable[[Request], Response],
        refused: Callable[[RefusedError], object],
    ) -> None:
        self.app, self.token, self.pages = app, token, tuple(pages)
        self.login, self.refused = login, refused
        self.names = {name.lower() for name in allowed_hosts if "/" not in name}
        self.networks = [ipaddress.ip_network(name) for name in allowed_hosts if "/" in name]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._answer(Request(scope))
        await (answer or self.app)(scope, receive, send_with_headers)

    def _answer(self, request: Request) -> Response | None:
        """Return the answer to a stranger or to a page opened with a token, None to let in."""
        try:
            self._check_host(request)
            self._check_origin(request)
            return self._check_token(request)
        except RefusedError as refused:
            self.refused(refused)
            if refused.status == 401 and request.url.path in self.pages:
                return self.login(request)
            return refused.response()

    def _check_host(self, request: HTTPConnection) -> None:
        hosts = request.headers.getlist("host")
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None:
            raise RefusedError(
                400, "host", "The request needs exactly one well-formed Host header."
            )
        name = match[1].lower().rstrip(".")
        if name not in self.names and not self._is_allowed_address(name.strip("[]")):
            message = (
                f"This server does not answer as {name!r}. Open it under the address that it "
                "printed, or allow the name when starting it."
            )
            raise RefusedError(403, "host", message)

    def _is_allowed_address(self, name: str) -> bool:
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def _check_origin(self, request: Request) -> None:
        origin = request.headers.get("origin")
        if request.method in _SAFE_METHODS or origin is None:
            return
        if _site(origin) != request.headers["host"].lower():
            message = f"Requests from pages of another site ({origin!r}) are not answered."
            raise RefusedError(403, "origin", message)

    def _check_token(self, request: Request) -> Response | None:
        path = request.url.path
        if self.token is None or path.startswith(_OPEN_PATHS):
            return None
        in_query = self._is_token(request.query_params.get("token"))
        if in_query and path in self.pages and request.method in _SAFE_METHODS:
            return self._remembered(request)
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        is_bearer = scheme.lower() == "bearer" and self._is_token(bearer.strip())
        if not (in_query or is_bearer or self._is_token(request.cookies.get(_cookie(request)))):
            message = (
                "This server needs its token. Send it as 'Authorization: Bearer TOKEN', "
                "or as ?token=TOKEN."
            )
            raise RefusedError(
                401, "token", message, {"WWW-Authenticate": 'Bearer realm="handful"'}
            )
        return None

    def _is_token(self, given: str | None) -> bool:
        if given is None or self.token is None:
            return False
        return secrets.compare_digest(given.encode(), self.token.encode())

    def _remembered(self, request: Request) -> Response:
        """Keep the token in a cookie and take it out of the address."""
        response = RedirectResponse(request.url.path, 303)
        is_secure = request.url.scheme == "https"
        response.set_cookie(
            _cookie(request), self.token or "", httponly=True, samesite="strict", secure=is_secure
        )
        return response


def _site(origin: str) -> str | None:
    """Return host and port of an Origin header, None where it is malformed."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _cookie(request: HTTPConnection) -> str:
    """Return the cookie's name; cookies are shared by all ports of a host, so it names the port."""
    return f"handful-token-{URL(scope=request.scope).port or 0}"


def check_token(host: str, token: str | None) -> None:
    """Refuse to serve other machines without a token, or with one that cannot be sent.

    Parameters
    ----------
    host : str
        The address to listen on.
    token : str or None
        The token, None for none.

    Raises
    ------
    HandfulError
        If ``host`` is not a loopback address and there is no token, or if the token is
        empty or holds anything but letters, digits and ``-._~``.

    Examples
    --------
    >>> check_token("127.0.0.1", None)
    >>> check_token("0.0.0.0", None)
    Traceback (most recent call last):
        ...
    handful.core.errors.HandfulError: Serving on '0.0.0.0' lets other machines in, ...
    """
    if token is not None and not re.fullmatch(r"[A-Za-z0-9._~-]+", token):
        raise HandfulError(
            "The token must be one or more letters, digits or '-._~', so that it fits into an "
            f"address and a header. Use for example {secrets.token_urlsafe(24)!r}."
        )
    if token is None and not is_loopback(host):
        raise HandfulError(
            f"Serving on {host!r} lets other machines in, so it needs a token. "
            f"Give one, for example {secrets.token_urlsafe(24)!r}, or serve on 127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
