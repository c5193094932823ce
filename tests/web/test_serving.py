"""The server in a process of its own, as a person starts it and an orchestrator stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from handful.core import HandfulError
from handful.web import run
from handful.web.serving import _address, _listening, _names_of

TOKEN = "a-token"


@contextmanager
def serving(host="127.0.0.1", seconds=0.0, token=""):
    """Yield the process and its address; the process is gone afterwards."""
    command = [sys.executable, str(Path(__file__).parent / "colours.py"), host, str(seconds), token]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        address = process.stdout.readline().strip()
        assert address, process.stderr.read()
        _wait_for(address)
        yield process, address
    finally:
        process.kill()
        process.communicate()


def _wait_for(address: str) -> None:
    for _ in range(200):
        try:
            httpx.get(httpx.URL(address).join("/health"))
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("The server did not start.")


def waiting(client: httpx.Client, address: str) -> int:
    lines = client.get(f"{address}metrics").text.splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("handful_waiting_images"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_the_exit_status_is_zero(image, number):
    with serving(seconds=1) as (process, address), httpx.Client(timeout=20) as client:
        with ThreadPoolExecutor(6) as pool:
            asked = [
                pool.submit(client.post, f"{address}predict", content=image("red"))
                for _ in range(6)
            ]
            while waiting(client, address) + sum(future.done() for future in asked) < 6:
                time.sleep(0.01)
            process.send_signal(number)
            answers = [future.result() for future in asked]
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    assert [answer.status_code for answer in answers] == [200] * 6
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


@pytest.mark.slow
def test_an_idle_connection_does_not_hold_up_the_end():
    with serving() as (process, address), httpx.Client() as client:
        client.get(f"{address}health")
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert process.wait(10) == 0
    assert time.monotonic() - started < 3


@pytest.mark.slow
def test_an_upload_on_its_way_is_finished_before_the_end(image):
    content = image("red")
    with serving() as (process, address):
        url = httpx.URL(address)
        with socket.create_connection((url.host, url.port)) as connection:
            head = f"POST /predict HTTP/1.1\r\nHost: {url.netloc.decode()}\r\n"
            head += f"Content-Length: {len(content)}\r\n\r\n"
            connection.sendall(head.encode() + content[:20])
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(content[20:])
            answer = connection.makefile("rb").read()
        assert process.wait(10) == 0
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"label":"red"' in answer


@pytest.mark.slow
def test_a_client_that_sends_too_much_still_reads_why():
    with serving() as (_, address):
        answer = httpx.post(f"{address}predict", content=b"x" * (40 * 2**20), timeout=20)
        again = httpx.post(f"{address}predict", content=b"")
    assert answer.status_code == 413
    assert answer.json()["error"]["reason"] == "too_large"
    assert again.status_code == 422


@pytest.mark.slow
def test_all_addresses_with_a_token(image):
    with serving(host="0.0.0.0", token=TOKEN) as (_, address):
        assert address.endswith(f"/?token={TOKEN}")
        url = httpx.URL(address, query=None).join("/predict")
        assert httpx.post(url, content=image("red")).status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.post(url, content=image("red"), headers=headers).status_code == 200
        headers["Host"] = "evil.example"
        assert httpx.post(url, content=image("red"), headers=headers).status_code == 403


def test_another_host_without_a_token_is_refused(predictor):
    with pytest.raises(HandfulError, match="lets other machines in"):
        run(predictor, host="0.0.0.0")


def test_a_port_in_use_is_a_clear_error(predictor):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HandfulError, match=f"Cannot listen on '127.0.0.1' port {port}"):
            run(predictor, port=port)


@pytest.mark.parametrize("port", [-1, 70000])
def test_a_port_out_of_range_is_a_clear_error(predictor, port):
    with pytest.raises(HandfulError, match="Cannot listen"):
        run(predictor, port=port)


def test_signals_are_given_back(predictor):
    before = signal.getsignal(signal.SIGTERM)
    run(predictor, port=0, started=lambda address: signal.raise_signal(signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("10.1.2.3", ["10.1.2.3/32"]),
        ("fe80::1", ["fe80::1/128"]),
        ("models.example", ["models.example"]),
        ("0.0.0.0", ["0.0.0.0/0", "::/0", socket.gethostname()]),
    ],
)
def test_names_of_a_host(host, names):
    assert list(_names_of(host)) == names


def test_address():
    assert _address("::", 80, None) == "http://[::1]:80/"
    assert _address("0.0.0.0", 80, "t") == "http://127.0.0.1:80/?token=t"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_does_not_wait_until_the_half_before_it_is_acknowledged(host):
    async def is_sent_at_once() -> bool:
        there = asyncio.get_running_loop().create_future()

        async def took(_, writer):
            taken = writer.get_extra_info("socket")
            there.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with _listening(host, 0) as listener:
            server = await asyncio.start_server(took, sock=listener)
            _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            async with server:
                found = await asyncio.wait_for(there, 5)
            writer.close()
        return bool(found)

    try:
        assert asyncio.run(is_sent_at_once())
    except HandfulError:
        assert host == "::1"
        pytest.skip("this machine has no IPv6")
