from __future__ import annotations

import pytest

from handful.core import HandfulError
from handful.web import ANY_ADDRESS, LOOPBACK, check_token, is_loopback

pytestmark = pytest.mark.anyio
TOKEN = "a-token_of.this~test"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8000",
        "localhost:99",
        "LOCALHOST",
        "[::1]:8000",
        "127.8.8.8",
        "localhost.",
    ],
)
async def test_loopback_hosts_are_answered(connect, predictor, host):
    async with connect(predictor) as client:
        assert (await client.get("/health", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.5",
        "[fe80::1]",
        "0.0.0.0",
        "2130706433",
    ],
)
async def test_other_hosts_are_refused(connect, predictor, image, host):
    async with connect(predictor) as client:
        answers = [await client.get(path, headers={"Host": host}) for path in ("/", "/health")]
        answers.append(await client.post("/predict", content=image("red"), headers={"Host": host}))
    assert [answer.status_code for answer in answers] == [403] * 3
    assert answers[0].json()["error"]["reason"] == "host"


@pytest.mark.parametrize("host", ["", "a b", "user@localhost", "localhost/x", "localhost:port"])
async def test_malformed_hosts_are_400(connect, predictor, host):
    async with connect(predictor) as client:
        assert (await client.get("/health", headers={"Host": host})).status_code == 400


async def test_two_host_headers_are_400(connect, predictor):
    async with connect(predictor) as client:
        headers = [("Host", "localhost"), ("Host", "evil.example")]
        assert (await client.get("/health", headers=headers)).status_code == 400


async def test_a_name_and_a_network_can_be_allowed(connect, predictor):
    hosts = [*LOOPBACK, "Models.example", "10.0.0.0/8"]
    async with connect(predictor, allowed_hosts=hosts) as client:
        said = {
            host: (await client.get("/health", headers={"Host": host})).status_code
            for host in ("models.example", "10.1.2.3", "11.1.2.3", "other.example")
        }
    assert list(said.values()) == [200, 200, 403, 403]


async def test_the_wildcard_allows_addresses_not_names(connect, predictor):
    async with connect(predictor, allowed_hosts=ANY_ADDRESS) as client:
        address = await client.get("/health", headers={"Host": "192.168.1.5:8000"})
        name = await client.get("/health", headers={"Host": "evil.example"})
    assert (address.status_code, name.status_code) == (200, 403)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8000", 200),
        ("http://127.0.0.1:9000", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
        (None, 200),
    ],
)
async def test_origin_of_a_post(connect, predictor, image, origin, status):
    headers = {} if origin is None else {"Origin": origin}
    async with connect(predictor) as client:
        response = await client.post("/predict", content=image("red"), headers=headers)
    assert response.status_code == status
    if status == 403:
        assert response.json()["error"]["reason"] == "origin"


@pytest.mark.parametrize("path", ["/", "/docs", "/model", "/metrics", "/openapi.json", "/nothing"])
async def test_everything_needs_the_token(connect, predictor, path):
    async with connect(predictor, token=TOKEN) as client:
        for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Basic {TOKEN}"}):
            response = await client.get(path, headers=headers)
            assert response.status_code == 401
        wrong = await client.get(path, params={"token": TOKEN + "x"})
        right = await client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert wrong.status_code == 401
    assert right.status_code == (404 if path == "/nothing" else 200)


async def test_health_and_static_need_no_token(connect, predictor):
    async with connect(predictor, token=TOKEN) as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/static/style.css")).status_code == 200
        assert (await client.get("/static/../model")).status_code == 401


async def test_predict_takes_the_token_in_header_or_query(connect, predictor, image):
    async with connect(predictor, token=TOKEN) as client:
        bare = await client.post("/predict", content=image("red"))
        header = {"authorization": f"bearer {TOKEN}"}
        in_header = await client.post("/predict", content=image("red"), headers=header)
        in_query = await client.post(f"/predict?token={TOKEN}", content=image("red"))
        unicode = await client.post("/predict?token=%C3%A9", content=image("red"))
    assert bare.status_code == unicode.status_code == 401
    assert bare.headers["www-authenticate"].startswith("Bearer")
    assert bare.json()["error"]["reason"] == "token"
    assert in_header.status_code == in_query.status_code == 200


async def test_a_page_keeps_the_token_in_a_cookie(connect, predictor, image):
    async with connect(predictor, token=TOKEN) as client:
        opened = await client.get("/", params={"token": TOKEN})
        assert opened.status_code == 303
        assert opened.headers["location"] == "/"
        cookie = opened.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert (await client.get("/")).status_code == 200
        assert (await client.post("/predict", content=image("red"))).status_code == 200


async def test_a_page_without_the_token_asks_for_it(connect, predictor):
    async with connect(predictor, token=TOKEN) as client:
        first = await client.get("/")
        again = await client.get("/", params={"token": "wrong"})
    assert first.status_code == again.status_code == 401
    assert '<form method="get"' in first.text
    assert "not the right one" not in first.text
    assert "not the right one" in again.text
    assert "colours.handful" not in first.text


async def test_every_answer_has_the_security_headers(connect, predictor):
    async with connect(predictor) as client:
        answers = [await client.get(path) for path in ("/", "/docs", "/static/home.js", "/nothing")]
        answers.append(await client.get("/", headers={"Host": "evil.example"}))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "models.example"])
def test_another_host_demands_a_token(host):
    with pytest.raises(HandfulError, match="needs a token"):
        check_token(host, None)
    check_token(host, TOKEN)


@pytest.mark.parametrize("token", ["", " ", "with space", "ünïcode", "a&b", "line\nbreak"])
def test_a_token_that_cannot_be_sent_is_refused(token):
    with pytest.raises(HandfulError, match="The token must be"):
        check_token("127.0.0.1", token)


def test_is_loopback():
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "example.org", ""]))


async def test_a_malformed_origin_is_another_site(connect, predictor, image):
    async with connect(predictor) as client:
        answer = await client.post(
            "/predict", content=image("red"), headers={"Origin": "http://[evil"}
        )
    assert answer.status_code == 403
