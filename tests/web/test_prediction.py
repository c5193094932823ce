from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image

from handful.web import Limits

pytestmark = pytest.mark.anyio


def files(**contents):
    return [("files", (name.replace("_", "."), content)) for name, content in contents.items()]


async def test_raw_bytes_are_one_image(connect, predictor, image):
    async with connect(predictor) as client:
        response = await client.post("/predict", content=image("red"))
    assert response.status_code == 200
    [row] = response.json()["predictions"]
    assert row["name"] is None
    assert row["label"] == "red"
    assert row["is_known"] is True
    assert sum(row["probabilities"].values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
async def test_every_format(connect, predictor, image, kind):
    async with connect(predictor) as client:
        response = await client.post("/predict", content=image("blue", kind=kind))
    assert response.json()["predictions"][0]["label"] == "blue"


@pytest.mark.parametrize(
    "content_type",
    ["image/png", "application/octet-stream", "application/x-www-form-urlencoded", None],
)
async def test_raw_content_types(connect, predictor, image, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    async with connect(predictor) as client:
        response = await client.post("/predict", content=image("red"), headers=headers)
    assert response.status_code == 200


async def test_many_files_in_order(connect, predictor, image):
    sent = files(a_png=image("red"), b_png=image("green"), c_png=image("gray"))
    async with connect(predictor) as client:
        response = await client.post("/predict", files=sent)
    rows = response.json()["predictions"]
    assert [row["name"] for row in rows] == ["a.png", "b.png", "c.png"]
    assert [row["label"] for row in rows[:2]] == ["red", "green"]
    assert [row["is_known"] for row in rows] == [True, True, False]


async def test_one_bad_image_among_many(connect, predictor, image):
    damaged = image("red", size=(200, 200), kind="JPEG")[:400]
    sent = files(
        good_png=image("red"),
        empty_png=b"",
        text_png=b"hello",
        half_jpg=damaged,
        last_png=image("blue"),
    )
    async with connect(predictor) as client:
        response = await client.post("/predict", files=sent)
    assert response.status_code == 200
    rows = response.json()["predictions"]
    assert [row.get("label") for row in rows] == ["red", None, None, None, "blue"]
    reasons = [row.get("error", {}).get("reason") for row in rows]
    assert reasons == [None, "empty", "not_an_image", "damaged", None]
    assert "zero bytes" in rows[1]["error"]["message"]


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [(b"", 422, "empty"), (b"hello", 415, "not_an_image"), (b"\x89PNG\r\n\x1a\n", 422, "damaged")],
)
async def test_a_bad_image_alone_is_an_error(connect, predictor, content, status, reason):
    async with connect(predictor) as client:
        raw = await client.post("/predict", content=content)
        part = await client.post("/predict", files=files(a_png=content))
    for response in (raw, part):
        assert response.status_code == status
        assert response.json()["error"]["reason"] == reason
        assert response.json()["predictions"][0]["error"]["reason"] == reason


async def test_different_errors_alone_are_422(connect, predictor):
    async with connect(predictor) as client:
        response = await client.post("/predict", files=files(a_png=b"", b_png=b"hello"))
    assert response.status_code == 422


async def test_too_many_pixels(connect, predictor, image):
    async with connect(predictor, limits=Limits(max_pixels=100)) as client:
        response = await client.post("/predict", content=image("red", size=(11, 10)))
        just = await client.post("/predict", content=image("red", size=(10, 10)))
    assert response.status_code == 413
    assert response.json()["error"]["reason"] == "too_many_pixels"
    assert "110 pixels" in response.json()["error"]["message"]
    assert just.status_code == 200


@pytest.mark.slow
async def test_a_bomb_is_not_decoded(connect, predictor, colours):
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    predictor.decode = None  # not called
    async with connect(predictor) as client:
        response = await client.post("/predict", content=file.getvalue())
    assert response.status_code == 413
    assert response.json()["error"]["reason"] == "too_many_pixels"


async def test_too_large_raw(connect, predictor, image):
    async with connect(predictor, limits=Limits(max_bytes=2048)) as client:
        response = await client.post("/predict", content=b"x" * 2049)
    assert response.status_code == 413
    assert "2 KiB" in response.json()["error"]["message"]


async def test_too_large_without_a_declared_length(connect, predictor):
    async def pieces():
        for _ in range(5):
            yield b"x" * 1024

    async with connect(predictor, limits=Limits(max_bytes=2048)) as client:
        response = await client.post("/predict", content=pieces())
    assert response.status_code == 413


async def test_one_file_too_large_harms_no_other(connect, predictor, image):
    limits = Limits(max_bytes=2048)
    sent = files(big_png=image("red") + b"\0" * 4096, small_png=image("red"))
    async with connect(predictor, limits=limits) as client:
        response = await client.post("/predict", files=sent)
    big, small = response.json()["predictions"]
    assert big["error"]["reason"] == "too_large"
    assert small["label"] == "red"


async def test_too_large_multipart(connect, predictor, image):
    limits = Limits(max_bytes=1000, max_request_bytes=1000)
    sent = files(**{f"{i}_png": image("red") for i in range(20)})
    async with connect(predictor, limits=limits) as client:
        response = await client.post("/predict", files=sent)
    assert response.status_code == 413
    assert response.json()["error"]["reason"] == "too_large"


async def test_too_many_files(connect, predictor, image):
    sent = files(**{f"{i}_png": image("red") for i in range(4)})
    async with connect(predictor, limits=Limits(max_files=3)) as client:
        response = await client.post("/predict", files=sent)
    assert response.status_code == 413
    assert response.json()["error"]["reason"] == "too_many_files"


async def test_json_is_415(connect, predictor):
    async with connect(predictor) as client:
        response = await client.post("/predict", json={"image": "…"})
    assert response.status_code == 415
    assert "multipart/form-data" in response.json()["error"]["message"]


async def test_concurrent_answers_equal_single_ones(connect, predictor, image):
    shades = [(10 * i, 255 - 9 * i, 5 * i) for i in range(24)]
    contents = [image(shade) for shade in shades]
    async with connect(predictor) as client:
        alone = [(await client.post("/predict", content=c)).json() for c in contents]
        predictor.batches.clear()
        together = await asyncio.gather(*(client.post("/predict", content=c) for c in contents))
        at_once = await client.post(
            "/predict", files=files(**{f"{i}_png": c for i, c in enumerate(contents)})
        )
    assert [response.json() for response in together] == alone
    labels = [answer["predictions"][0]["label"] for answer in alone]
    assert [row["label"] for row in at_once.json()["predictions"]] == labels
    assert sum(predictor.batches) == 48
    assert max(predictor.batches) > 1


async def test_a_failing_model_is_a_500_and_the_server_lives_on(connect, predictor, image, caplog):
    infer = predictor.infer
    predictor.infer = lambda images: 1 / 0
    async with connect(predictor) as client:
        failed = await client.post("/predict", content=image("red"))
        predictor.infer = infer
        fine = await client.post("/predict", content=image("red"))
    assert failed.status_code == 500
    assert failed.json()["error"]["reason"] == "internal"
    assert "ZeroDivisionError" in caplog.text
    assert fine.status_code == 200


async def test_a_bug_in_decoding_is_a_500_for_that_image(connect, predictor, image, caplog):
    decode = predictor.decode
    predictor.decode = lambda content: decode(content) if len(content) < 200 else 1 / 0
    sent = files(a_png=image("red"), b_bmp=image("red", kind="BMP"))
    async with connect(predictor) as client:
        response = await client.post("/predict", files=sent)
    assert [row.get("label") for row in response.json()["predictions"]] == ["red", None]
    assert response.json()["predictions"][1]["error"]["reason"] == "internal"
    assert "ZeroDivisionError" in caplog.text


async def test_overload_is_503_with_retry_after(connect, predictor, image):
    predictor.gate.clear()
    limits = Limits(max_waiting=4, max_files=4, max_batch=2)
    async with connect(predictor, limits=limits) as client:
        waiting = [
            asyncio.create_task(client.post("/predict", content=image("red"))) for _ in range(4)
        ]
        async with asyncio.timeout(5):
            while b"handful_waiting_images 4\n" not in (await client.get("/metrics")).content:
                await asyncio.sleep(0.005)
        refused = await client.post("/predict", content=image("red"))
        predictor.gate.set()
        answered = await asyncio.gather(*waiting)
        after = await client.post("/predict", content=image("red"))
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["reason"] == "overloaded"
    assert [response.status_code for response in answered] == [200] * 4
    assert after.status_code == 200


async def test_health_model_and_openapi(connect, predictor):
    async with connect(predictor) as client:
        assert (await client.get("/health")).json() == {"status": "ok"}
        model = (await client.get("/model")).json()
        document = (await client.get("/openapi.json")).json()
    assert model["classes"] == ["red", "green", "blue"]
    assert model["accuracy"]["value"] == 0.9
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {"/predict", "/model", "/health", "/metrics"}


async def test_unknown_paths_and_methods_are_json(connect, predictor):
    async with connect(predictor) as client:
        missing = await client.get("/nothing")
        method = await client.get("/predict")
    assert (missing.status_code, missing.json()["error"]["reason"]) == (404, "not_found")
    assert (method.status_code, method.json()["error"]["reason"]) == (405, "method")
    assert method.headers["allow"] == "POST"
