"""The text format, read by a parser that is stricter than Prometheus's own."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.web.metrics import CONTENT_TYPE, Counter, Gauge, Histogram, exposition

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_PAIR = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_PAIR}(?:,{_PAIR})*)\}})? (\S+)")
_UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def unescaped(text: str) -> str:
    return re.sub(r'\\["\\n]', lambda match: _UNESCAPED[match[0]], text)


def parse(text: str) -> dict[str, dict]:
    """Return the metrics of a text by name: kind, help, samples by (name, labels)."""
    assert text.endswith("\n") or not text
    metrics, current = {}, None
    for line in text.split("\n")[:-1]:
        if match := re.fullmatch(rf"# HELP ({_NAME}) (.+)", line):
            assert match[1] not in metrics, "a metric is described once"
            current = metrics[match[1]] = {"help": match[2], "samples": {}}
            name = match[1]
        elif match := re.fullmatch(rf"# TYPE ({_NAME}) (counter|gauge|histogram)", line):
            assert match[1] == name
            assert "kind" not in current
            assert not current["samples"]
            current["kind"] = match[2]
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, f"not a sample: {line!r}"
            suffixes = "(_bucket|_sum|_count)" if current["kind"] == "histogram" else ""
            assert re.fullmatch(re.escape(name) + suffixes, match[1])
            pairs = re.findall(rf"{_PAIR}", match[2] or "")
            labels = tuple((p.split("=", 1)[0], unescaped(p.split("=", 1)[1][1:-1])) for p in pairs)
            assert len(dict(labels)) == len(labels)
            assert (match[1], labels) not in current["samples"], "a sample appears once"
            current["samples"][match[1], labels] = float(match[3])
    for name, metric in metrics.items():
        check(name, metric)
    return metrics


def check(name: str, metric: dict) -> None:
    samples = metric["samples"]
    if metric["kind"] == "counter":
        assert name.endswith("_total")
        assert all(value >= 0 for value in samples.values())
    if metric["kind"] == "histogram":
        buckets = [(float(dict(k[1])["le"]), v) for k, v in samples.items() if k[1]]
        assert [bound for bound, _ in buckets] == sorted({bound for bound, _ in buckets})
        assert [count for _, count in buckets] == sorted(count for _, count in buckets)
        assert buckets[-1] == (math.inf, samples[f"{name}_count", ()])
        assert (f"{name}_sum", ()) in samples


@settings(max_examples=30, deadline=None)
@given(st.text(), st.floats(min_value=0, allow_nan=False))
def test_any_label_value_comes_back(value, amount):
    counter = Counter("things_total", "Things\nof \\ kinds.", ["kind"])
    counter.add(value, amount=amount)
    text = exposition([counter])
    assert parse(text)["things_total"]["samples"] == {("things_total", (("kind", value),)): amount}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-10, 10)))
def test_a_histogram_counts_every_value_once(values):
    histogram = Histogram("seconds", "Time.", [-1, 0, 0.5, 3])
    for value in values:
        histogram.observe(value)
    samples = parse(exposition([histogram]))["seconds"]["samples"]
    for bound in ("-1", "0", "0.5", "3"):
        counted = samples["seconds_bucket", (("le", bound),)]
        assert counted == sum(value <= float(bound) for value in values)
    assert samples["seconds_count", ()] == len(values)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0, -3, 1e300, 0.1, 2**60])
def test_numbers(value):
    samples = parse(exposition([Gauge("g", "A gauge.", lambda: value)]))["g"]["samples"]
    assert samples["g", ()] == pytest.approx(value, nan_ok=True)


@pytest.mark.anyio
async def test_the_servers_metrics(connect, predictor, image):
    async with connect(predictor) as client:
        for colour in ("red", "red", "blue", "gray"):
            await client.post("/predict", content=image(colour))
        await client.post("/predict", content=b"")
        await client.get("/a/strangers/path")
        await client.request("BREW", "/predict")
        await client.get("/health", headers={"Host": "evil.example"})
        response = await client.get("/metrics")
    assert response.headers["content-type"] == CONTENT_TYPE
    metrics = parse(response.text)

    def value(name, suffix="", **labels):
        return metrics[name]["samples"][name + suffix, tuple(labels.items())]

    predictions = metrics["handful_predictions_total"]["samples"]
    assert sum(predictions.values()) == 4
    named = {tuple(dict(labels).values()): count for (_, labels), count in predictions.items()}
    assert named["red", "true"] == 2
    assert named["blue", "true"] == 1
    assert sum(count for (_, known), count in named.items() if known == "false") == 1
    assert value("handful_unknown_share") == 0.25
    assert value("handful_errors_total", reason="empty") == 1
    assert value("handful_errors_total", reason="host") == 1
    assert value("handful_errors_total", reason="not_found") == 1
    assert value("handful_predict_seconds", "_count") == 5
    assert value("handful_batch_images", "_sum") == 4
    assert value("handful_infer_seconds", "_count") == value("handful_batch_images", "_count")
    assert value("handful_decode_seconds", "_count") == 4
    assert value("handful_confidence", "_count") == 4
    assert value("handful_waiting_images") == 0
    assert value("handful_requests_total", path="/predict", method="POST", status="200") == 4
    assert value("handful_requests_total", path="/predict", method="POST", status="422") == 1
    assert value("handful_requests_total", path="other", method="GET", status="404") == 1
    assert value("handful_requests_total", path="/predict", method="other", status="405") == 1


@pytest.mark.anyio
async def test_metrics_before_the_first_image(connect, predictor):
    async with connect(predictor) as client:
        metrics = parse((await client.get("/metrics")).text)
    assert math.isnan(metrics["handful_embedding_drift"]["samples"]["handful_embedding_drift", ()])
    assert len(metrics["handful_predictions_total"]["samples"]) == 6
