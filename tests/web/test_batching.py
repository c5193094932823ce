from __future__ import annotations

import asyncio
import time

import pytest

from handful.core import ImageError
from handful.web import Limits, RefusedError
from handful.web.batching import Batcher, read_size
from handful.web.monitoring import Monitoring

pytestmark = pytest.mark.anyio


def batcher(predictor, **limits):
    return Batcher(predictor, Limits(**limits), Monitoring(predictor, waiting=lambda: 0))


async def test_what_waits_is_inferred_together(predictor, image):
    predictor.gate.clear()
    async with batcher(predictor, max_batch=8, max_calls=1) as batches:
        first = asyncio.create_task(batches.predict(image("red")))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(batches.predict(image("blue"))) for _ in range(10)]
        await asyncio.sleep(0.2)
        predictor.gate.set()
        labels = [row["label"] for row in await asyncio.gather(first, *rest)]
    assert labels == ["red"] + ["blue"] * 10
    assert predictor.batches == [1, 8, 2]


async def test_calls_that_are_free_share_what_waits(predictor, image):
    predictor.gate.clear()
    async with batcher(predictor, max_batch=8, max_calls=2, max_wait_ms=0) as batches:
        busy = [asyncio.create_task(batches.predict(image("red"))) for _ in range(2)]
        await asyncio.sleep(0.1)
        rest = [asyncio.create_task(batches.predict(image("blue"))) for _ in range(6)]
        await asyncio.sleep(0.1)
        predictor.gate.set()
        await asyncio.gather(*busy, *rest)
    assert sum(predictor.batches) == 8
    assert sorted(predictor.batches)[:2] == [1, 1]
    assert max(predictor.batches) >= 3


async def test_a_lone_image_does_not_wait(predictor, image):
    async with batcher(predictor, max_wait_ms=5000) as batches:
        started = time.perf_counter()
        await batches.predict(image("red"))
    assert time.perf_counter() - started < 1


async def test_an_image_waits_for_one_being_decoded_but_not_longer_than_allowed(predictor, image):
    decode = predictor.decode
    slow = image("blue", size=(64, 64))

    def decode_slowly(content):
        if content == slow:
            time.sleep(0.1)
        return decode(content)

    predictor.decode = decode_slowly
    for max_wait_ms, batches_seen in ((1000, [2]), (10, [1, 1])):
        predictor.batches.clear()
        async with batcher(predictor, max_wait_ms=max_wait_ms, max_calls=1) as batches:
            await asyncio.gather(batches.predict(slow), batches.predict(image("red")))
        assert predictor.batches == batches_seen


async def test_closing_answers_what_waits(predictor, image):
    predictor.seconds = 0.02
    async with batcher(predictor, max_batch=1) as batches:
        tasks = [asyncio.create_task(batches.predict(image("red"))) for _ in range(6)]
        await asyncio.sleep(0)
    rows = await asyncio.wait_for(asyncio.gather(*tasks), 2)
    assert [row["label"] for row in rows] == ["red"] * 6


async def test_a_client_that_left_harms_no_other(predictor, image):
    predictor.gate.clear()
    async with batcher(predictor) as batches:
        tasks = [asyncio.create_task(batches.predict(image("red"))) for _ in range(3)]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        predictor.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[0]["label"] == answers[2]["label"] == "red"
    assert isinstance(answers[1], asyncio.CancelledError)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_read_size(image, kind):
    content = image("red", size=(30, 20), kind=kind)
    assert read_size(content) == 600
    assert read_size(content[:9]) == 0


@pytest.mark.parametrize("content", [b"", b"not an image", b"%PDF-1.7", b"<svg/>"])
def test_read_size_of_no_image(content):
    assert read_size(content) is None


async def test_an_image_that_the_decoder_finds_too_large_is_413(predictor, image, monkeypatch):
    def decode(content):
        raise ImageError("More pixels than are decoded at once.")

    predictor.decode = decode
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100)
    async with batcher(predictor) as batches:
        with pytest.raises(RefusedError, match="decoded at once") as refused:
            await batches.predict(image("red", size=(30, 20)))
    assert (refused.value.status, refused.value.reason) == (413, "too_many_pixels")
