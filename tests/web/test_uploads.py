from __future__ import annotations

import asyncio

import pytest

from handful.web import Limits

pytestmark = pytest.mark.anyio
TYPE = "multipart/form-data; boundary=xyz"


def part(content: bytes, disposition='form-data; name="files"; filename="a.png"') -> bytes:
    return (
        b"--xyz\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"
    )


async def post(client, body, content_type=TYPE):
    return await client.post("/predict", content=body, headers={"Content-Type": content_type})


async def test_a_whole_multipart_body_is_answered(connect, predictor, image):
    async with connect(predictor) as client:
        response = await post(client, part(image("red")) + b"--xyz--\r\n")
    assert response.json()["predictions"][0]["label"] == "red"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", TYPE),
        (b"--xyz", TYPE),
        (b"no boundary at all", TYPE),
        (b"--xyz\r\nno header\r\n\r\n", TYPE),
        (b"--xyz\r\n" + b"A: b\r\n" * 500 + b"\r\n", TYPE),
        (b"--xyz\r\nA: " + b"b" * 100_000, TYPE),
        (b"--abc--\r\n", TYPE),
        (part(b"x") + b"--xyz--\r\n", "multipart/form-data"),
        (part(b"x") + b"--xyz--\r\n", "multipart/form-data; boundary="),
        (part(b"x") + b"--xyz--\r\n", "multipart/form-data; boundary=" + "x" * 999),
    ],
)
async def test_malformed_multipart_is_400(connect, predictor, body, content_type):
    async with connect(predictor) as client:
        response = await post(client, body, content_type)
    assert response.status_code == 400
    assert response.json()["error"]["reason"] == "malformed"


async def test_a_cut_body_is_not_taken_for_a_whole_one(connect, predictor, image):
    whole = part(image("red")) + part(image("blue")) + b"--xyz--\r\n"
    async with connect(predictor) as client:
        for cut in range(0, len(whole) - 4, 7):
            response = await post(client, whole[:cut])
            assert response.status_code == 400, cut


@pytest.mark.parametrize("step", [1, 7, 64])
async def test_pieces_of_any_size_are_one_body(connect, predictor, image, step):
    whole = part(image("red")) + part(image("blue")) + b"--xyz--\r\n"

    async def pieces():
        for start in range(0, len(whole), step):
            yield whole[start : start + step]

    async with connect(predictor) as client:
        response = await post(client, pieces())
    assert [row["label"] for row in response.json()["predictions"]] == ["red", "blue"]


async def test_no_file_is_422(connect, predictor):
    field = part(b"red", 'form-data; name="colour"')
    async with connect(predictor) as client:
        without = await post(client, field + b"--xyz--\r\n")
        empty = await post(client, b"--xyz--\r\n")
    assert without.status_code == 422
    assert without.json()["error"]["reason"] == "no_files"
    assert empty.status_code in (400, 422)


async def test_other_fields_are_passed_over(connect, predictor, image):
    body = part(b"red", 'form-data; name="colour"') + part(image("red")) + b"--xyz--\r\n"
    async with connect(predictor) as client:
        assert len((await post(client, body)).json()["predictions"]) == 1


@pytest.mark.parametrize(
    ("filename", "name"),
    [("é.png".encode(), "é.png"), (b"\xe9.png", "é.png"), (b"<b>.png", "<b>.png"), (b"", "")],
)
async def test_names(connect, predictor, image, filename, name):
    head = (
        b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="' + filename + b'"\r\n\r\n'
    )
    async with connect(predictor) as client:
        response = await post(client, head + image("red") + b"\r\n--xyz--\r\n")
    assert response.json()["predictions"][0]["name"] == name


async def test_a_long_name_is_cut(connect, predictor, image):
    body = part(image("red"), f'form-data; name="f"; filename="{"n" * 1000}"') + b"--xyz--\r\n"
    async with connect(predictor) as client:
        assert len((await post(client, body)).json()["predictions"][0]["name"]) == 255


async def test_a_slow_body_is_408(connect, predictor):
    async def pieces():
        yield b"x"
        await asyncio.sleep(1)
        yield b"x"

    async with connect(predictor, limits=Limits(max_seconds=0.05)) as client:
        response = await client.post("/predict", content=pieces())
    assert response.status_code == 408
    assert response.json()["error"]["reason"] == "too_slow"


async def test_bodies_held_at_once_are_bounded(connect, predictor):
    limits = Limits(max_bytes=1000, max_request_bytes=1000, max_held_bytes=1500)
    sent = asyncio.Event()
    done = asyncio.Event()

    async def pieces():
        yield b"x" * 900
        sent.set()
        await done.wait()

    async with connect(predictor, limits=limits) as client:
        first = asyncio.create_task(client.post("/predict", content=pieces()))
        await sent.wait()
        second = await client.post("/predict", content=b"x" * 900)
        done.set()
        assert (await first).status_code == 415
        third = await client.post("/predict", content=b"x" * 900)
    assert second.status_code == 503
    assert third.status_code == 415
