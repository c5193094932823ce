"""The process that serves a model or a labelling page: the port, the signals and the drain."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from handful.core import HandfulError
from handful.web.guard import ANY_ADDRESS, LOOPBACK, check_token
from handful.web.labeller import Labeller
from handful.web.labelling import create_labelling_app
from handful.web.limits import Limits
from handful.web.prediction import create_app
from handful.web.predictor import Predictor

_LAST_PORT = 65_535
_HERE = "127.0.0.1"
_TURN = 0.0005  # seconds until Python asks a busy thread to let another run; 0.005 by default


def run(
    predictor: Predictor,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    limits: Limits | None = None,
    started: Callable[[str], object] | None = None,
    drain_seconds: int = 30,
) -> None:
    """Serve one model until SIGTERM or Ctrl-C, then answer what is in flight and return.

    Parameters
    ----------
    predictor : Predictor
        The model.
    host : str, default="127.0.0.1"
        The address to listen on; any other than this machine's own demands a token.
    port : int, default=8000
        The port, 0 for any that is free.
    token : str, optional
        Demanded from every client.
    allowed_hosts : sequence of str, default=()
        Names, besides ``host`` and the loopback ones, that the Host header may give.
    limits : Limits, optional
        Sizes, batches and the queue.
    started : callable, optional
        Called with the address of the page, token included, once the port is open.
    drain_seconds : int, default=30
        Longest time that requests in flight may take after the signal, in seconds.

    Raises
    ------
    HandfulError
        If another host is asked for without a token, the token cannot be sent, or the
        port cannot be opened.

    Examples
    --------
    >>> run(predictor, port=8000, started=print)  # doctest: +SKIP
    """
    check_token(host, token)
    names = [*LOOPBACK, *allowed_hosts, *_names_of(host)]
    app = create_app(predictor, token=token, allowed_hosts=names, limits=limits)
    with _listening(host, port) as listener:
        address = _address(host, listener.getsockname()[1], token)
        _serve(app, listener, drain_seconds, lambda: started and started(address))


def run_labelling(
    labeller: Labeller,
    tokens: Mapping[str, str],
    *,
    port: int | None = None,
    last_port: int | None = None,
    started: Callable[[int, dict[str, str]], object] | None = None,
) -> None:
    """Serve the labelling page of a folder, to this machine alone, until SIGTERM or Ctrl-C.

    Parameters
    ----------
    labeller : Labeller
        The folder.
    tokens : mapping of str to str
        Token to annotator.
    port : int, optional
        0 for any that is free; by default ``last_port`` if it is free, else any.
    last_port : int, optional
        That of the last session: an open tab finds it again.
    started : callable, optional
        Called with the port and the address of each annotator, once the port is open.

    Raises
    ------
    HandfulError
        If the port cannot be opened.
    """
    app = create_labelling_app(labeller, tokens)
    found = _free_or(last_port) if port is None else _listening(_HERE, port)
    with found as listener, _short_turns():
        taken = listener.getsockname()[1]
        addresses = {who: f"http://{_HERE}:{taken}/{key}/" for key, who in tokens.items()}
        _serve(app, listener, 5, lambda: started and started(taken, addresses))


def _free_or(port: int | None) -> socket.socket:
    """Return a socket that listens on a port if it is free, else on any."""
    try:
        return _listening(_HERE, port or 0)
    except HandfulError:
        return _listening(_HERE, 0)


def _serve(
    app: ASGIApp, listener: socket.socket, drain_seconds: int, started: Callable[[], object]
) -> None:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=drain_seconds,
    )
    server = uvicorn.Server(config)
    with _stopping(server):  # whoever was told the address may already send the signal
        started()
        server.run(sockets=[listener])


def _names_of(host: str) -> Sequence[str]:
    """Return what clients may call this machine when it listens on ``host``.

    A page of a stranger can point a name of its own here, not an address, so on the
    wildcard any address is allowed.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return [host]
    if address.is_unspecified:
        return [*ANY_ADDRESS, socket.gethostname()]
    return [str(ipaddress.ip_network(address))]


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if not 0 <= port <= _LAST_PORT:
            raise OSError(f"there is no such port, the last one is {_LAST_PORT}")
        made = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise HandfulError(
            f"Cannot listen on {host!r} port {port}: {error.strerror or error}. "
            "Choose another port, or 0 for any that is free."
        ) from error
    # named as TCP, for asyncio to send small answers at once: without that, the second half of
    # one waits up to 40 ms until the client acknowledged the first
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach())


@contextlib.contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    """Make SIGTERM and SIGINT end the server well, from before it starts until it has drained.

    uvicorn raises the signal that stopped it once more at the end, so that the process
    dies of it; a drained server has done its work and returns.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        server.should_exit = True

    if threading.current_thread() is not threading.main_thread():
        yield  # Python gives signals to the main thread alone
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    """Let no thread hold the interpreter for long: models are trained beside a person's labels."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _address(host: str, port: int, token: str | None) -> str:
    """Return the address of the page."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
