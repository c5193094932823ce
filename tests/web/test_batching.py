from __future__ import annotations

import asyncio
import time

import pytest

from handful.web import Limits
from handful.web.batching import Batcher, read_size
from handful.web.monitoring import Monitoring

pytestmark = pytest.mark.anyio


def batcher(predictor, **limits):
    return Batcher(predictor, Limits(**limits), Monitoring(predictor, waiting=lambda: 0))


async def test_what_waits_is_inferred_together(predictor, image):
    predictor.gate.clear()
    async with batcher(predictor, max_batch=8) as batches:
        first = asyncio.create_task(batches.predict(image("red")))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(batches.predict(image("blue"))) for _ in range(10)]
        await asyncio.sleep(0.2)
        predictor.gate.set()
        labels = [row["label"] for row in await asyncio.gather(first, *rest)]
    assert labels == ["red"] + ["blue"] * 10
    assert predictor.batches == [1, 8, 2]


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
        async with batcher(predictor, max_wait_ms=max_wait_ms) as batches:
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


def test_read_size(image):
    assert read_size(image("red", size=(30, 20))) == 600
    assert read_size(b"") is None
    assert read_size(b"not an image") is None
