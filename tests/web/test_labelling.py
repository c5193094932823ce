"""The endpoints of the labelling page, without a browser."""

from __future__ import annotations

import shutil
import time
from contextlib import asynccontextmanager

import httpx
import pytest

from handful.web import create_labelling_app

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory, pixels):
    return pixels.write_digits(tmp_path_factory.mktemp("page") / "digits", 60)


@pytest.fixture
def labelling(digits_folder, tmp_path, pixels):
    with pixels.session(
        digits_folder, annotators=["Ann", "Bob"], project_dir=tmp_path / "project"
    ) as labelling:
        end = time.monotonic() + 20
        while labelling.state("Ann")["stage"] != "done":
            assert time.monotonic() < end
            time.sleep(0.005)
        yield labelling


@pytest.fixture
def open_page(labelling):
    """Open a client whose address is that of an annotator: ``async with open_page("Ann")``."""

    @asynccontextmanager
    async def client(who="Ann", token=None):
        tokens = labelling.tokens()
        token = token or next(key for key, name in tokens.items() if name == who)
        app = create_labelling_app(labelling, tokens)
        base = f"http://127.0.0.1:8000/{token}/"
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=base) as client,
        ):
            yield client

    return client


async def next_item(client, tab="tab", **asked):
    answer = await client.post("next", json={"tab": tab, "mode": "single", "n": 1, **asked})
    assert answer.status_code == 200
    return answer.json()["screens"][0]["items"][0]


def message(name, image, label, **more):
    return {"id": name, "answers": [{"image": image, "kind": "human", "label": label, **more}]}


async def test_the_page_loads_nothing_from_elsewhere(open_page):
    async with open_page() as client:
        page = await client.get("")
        assert page.status_code == 200
        assert "digits" in page.text
        assert "Ann" in page.text
        assert "http://" not in page.text.replace("http://www.w3.org/", "")
        assert "https://" not in page.text
        for name in ("label.js", "label.css", "style.css", "theme.js"):
            assert (await client.get(f"static/{name}")).status_code == 200
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_from_the_next_image_to_an_acknowledged_answer(open_page, labelling):
    async with open_page() as client:
        item = await next_item(client)
        said = await client.post("answers", json={"messages": [message("a", item["image"], "3")]})
        assert said.status_code == 200
        assert said.json()["done"] == [{"id": "a", "step": said.json()["done"][0]["step"]}]
        assert said.json()["state"]["labelled"] == 1
        assert labelling.project.labels.current()[item["image"]].label == "3"
        assert (await client.get("last")).json()["items"][0]["image"] == item["image"]
        undone = await client.post("answers", json={"messages": [{"id": "b", "undo": "a"}]})
        assert undone.json()["state"]["labelled"] == 0
        assert (await client.get("last")).json() is None


async def test_each_address_is_one_annotator(open_page, labelling):
    async with open_page("Ann") as ann, open_page("Bob") as bob:
        item = await next_item(ann)
        for client, label in ((ann, "1"), (bob, "2")):
            await client.post("answers", json={"messages": [message(label, item["image"], label)]})
    events = [(e.event.annotator, e.event.label) for e in labelling.project.labels.events()]
    assert events == [("Ann", "1"), ("Bob", "2")]


async def test_two_tabs_never_get_the_same_image(open_page):
    async with open_page() as client:
        seen = [(await next_item(client, tab=f"tab{n % 2}"))["image"] for n in range(20)]
    assert len(set(seen)) == 20


async def test_an_image_and_its_sides(open_page):
    async with open_page() as client:
        item = await next_item(client)
        for side in (192, 960):
            answer = await client.get(f"image/{item['image']}?side={side}")
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == "image/png"
            assert "immutable" in answer.headers["Cache-Control"]
        for side in ("", "9", "-1", "960.0", "9" * 30, "٩٦٠"):
            assert (await client.get(f"image/{item['image']}?side={side}")).status_code == 404


async def test_an_image_that_vanished_is_410(digits_folder, tmp_path, pixels):
    folder = shutil.copytree(digits_folder, tmp_path / "some", ignore=shutil.ignore_patterns(".*"))
    with pixels.session(folder) as labelling:
        end = time.monotonic() + 20
        while labelling.state("")["stage"] != "done" and time.monotonic() < end:
            time.sleep(0.005)
        image = labelling.queue.pool.images[0]
        image.path.unlink()
        app = create_labelling_app(labelling, {"secret": ""})
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://localhost/secret/"
            ) as client,
        ):
            gone = await client.get(f"image/{image.hash}?side=192")
            assert gone.status_code == 410
            assert gone.json()["error"]["reason"] == "vanished"


@pytest.mark.parametrize(
    "path",
    ["image/..%2f..%2fetc%2fpasswd?side=192", "image/%2e%2e?side=192", "image/../../x?side=192",
     "static/../labelling.py", "static/..%2flabelling.py", "static/%2e%2e/labelling.py",
     "image/00?side=192"],
)  # fmt: skip
async def test_no_path_leads_out(open_page, path):
    async with open_page() as client:
        answer = await client.get(path)
        assert answer.status_code in (307, 401, 404)
        assert b"import" not in answer.content
        assert b"root:" not in answer.content


@pytest.mark.parametrize("path", ["", "state", "last", "review", "model", "image/00?side=192"])
async def test_a_wrong_token_opens_nothing(open_page, path):
    async with open_page(token="wrong") as client:
        answer = await client.get(path)
        assert answer.status_code == 401
        if path == "":
            assert "handful label" in answer.text


@pytest.mark.parametrize(
    "path", ["next", "answers", "classes", "alike", "search", "target", "export"]
)
async def test_a_wrong_token_changes_nothing(open_page, labelling, path):
    async with open_page(token="wrong") as client:
        said = {"messages": [message("a", labelling.queue.pool.images[0].hash, "cat")]}
        assert (await client.post(path, json=said)).status_code == 401
    assert labelling.project.labels.events() == []


async def test_the_root_says_that_the_address_is_needed(open_page):
    async with open_page() as client:
        assert (await client.get("http://127.0.0.1:8000/")).status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999"])
async def test_a_page_of_another_site_is_refused(open_page, labelling, origin):
    async with open_page() as client:
        said = {"messages": [message("a", labelling.queue.pool.images[0].hash, "cat")]}
        answer = await client.post("answers", json=said, headers={"Origin": origin})
        assert answer.status_code == 403
        own = {"Origin": "http://127.0.0.1:8000"}
        assert (await client.post("answers", json=said, headers=own)).status_code == 200


async def test_another_name_of_this_machine_is_refused(open_page):
    async with open_page() as client:
        assert (await client.get("state", headers={"Host": "evil.example"})).status_code == 403


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("answers", b"not json", 400),
        ("answers", b"[" * 100_000, 400),
        ("answers", b"[]", 400),
        ("answers", b"{}", 422),
        ("answers", b'{"messages": []}', 422),
        ("answers", b'{"messages": 7}', 422),
        ("answers", b'{"messages": [' + b"1," * 600_000 + b"1]}", 413),
        ("next", b'{"mode": "all"}', 422),
        ("next", b'{"n": 1000}', 422),
        ("next", b'{"n": true}', 422),
        ("next", b'{"tiles": "many"}', 422),
        ("next", b'{"tab": 7}', 422),
        ("next", b'{"held": [7]}', 422),
        ("classes", b'{"do": "burn", "name": "a"}', 422),
        ("classes", b'{"do": "add", "name": ""}', 422),
        ("target", b'{"target": 2}', 422),
        ("target", b'{"target": "high"}', 422),
        ("target", b'{"target": true}', 422),
        ("search", b'{"text": "a cat"}', 422),
    ],
)
async def test_a_malformed_request_is_refused(open_page, path, body, status):
    async with open_page() as client:
        answer = await client.post(path, content=body)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


async def test_one_bad_answer_does_not_keep_the_others(open_page, labelling):
    image = labelling.queue.pool.images[0].hash
    async with open_page() as client:
        both = [message("bad", image, "x" * 501), message("good", image, "<b>🐈</b>")]
        said = await client.post("answers", json={"messages": both})
    first, second = said.json()["done"]
    assert "501 characters" in first["refused"]
    assert "step" in second
    assert said.json()["state"]["classes"] == [["<b>🐈</b>", 1]]


async def test_a_full_disk_acknowledges_nothing(open_page, labelling):
    image, database = labelling.queue.pool.images[0].hash, labelling.project.database
    database.rows(f"PRAGMA max_page_count = {database.rows('PRAGMA page_count')[0][0]}")
    many = [message(str(n), image, f"{n:02}" * 240) for n in range(60)]
    async with open_page() as client:
        refused = await client.post("answers", json={"messages": many})
        assert refused.status_code == 507
        assert "disk is full" in refused.json()["error"]["message"]
        assert (await client.get("state")).json()["labelled"] == 0
        database.rows("PRAGMA max_page_count = 1000000")
        assert (await client.post("answers", json={"messages": many})).status_code == 200
    assert len(labelling.project.labels.events()) == 60


async def test_classes_are_added_renamed_and_merged(open_page):
    async with open_page() as client:
        for change in (
            {"do": "add", "name": "cat"},
            {"do": "add", "name": "dog"},
            {"do": "rename", "name": "dog", "into": "hound"},
            {"do": "add", "name": "puppy"},
            {"do": "merge", "name": "puppy", "into": "hound"},
        ):
            state = (await client.post("classes", json=change)).json()
        assert [name for name, _ in state["classes"]] == ["cat", "hound"]
        twice = await client.post("classes", json={"do": "add", "name": "cat"})
        assert twice.status_code == 422
        assert "already is a class" in twice.json()["error"]["message"]


async def test_review_alike_target_and_model(open_page):
    async with open_page() as client:
        assert (await client.get("review")).json() == {"looks": [], "together": None}
        item = await next_item(client)
        page = await client.post("alike", json={"tab": "tab", "image": item["image"], "tiles": 12})
        assert len(page.json()["items"]) == 12
        state = (await client.post("target", json={"target": 0.9})).json()
        assert state["progress"]["target"] == 0.9
        assert (await client.post("target", json={"target": None})).status_code == 200
        missing = await client.get("model")
        assert missing.status_code == 404
        assert "Export it first" in missing.json()["error"]["message"]


async def test_an_export_can_be_fetched(open_page, labelling, tmp_path):
    async with open_page() as client:
        started = await client.post("export", json={})
        assert started.json()["export"]["status"] == "running"
        end = time.monotonic() + 20
        while (found := (await client.get("state")).json()["export"])["status"] == "running":
            assert time.monotonic() < end
        assert found["status"] == "failed"  # nothing has a label yet
        assert "label" in found["message"]
        (tmp_path / "model.handful").write_bytes(b"content")
        labelling.exporting.result = {"bundle": str(tmp_path / "model.handful")}
        assert (await client.get("model")).content == b"content"


async def test_plans_are_ranked_in_the_background(open_page, labelling):
    async with open_page() as client:
        assert (await client.get("state")).json()["advice"] == {"status": "none"}
        assert (await client.post("advice", json={})).json()["advice"]["status"] == "running"
        assert (await client.post("advice", json={})).json()["advice"]["status"] == "running"
        end = time.monotonic() + 20
        while (found := (await client.get("state")).json()["advice"])["status"] == "running":
            assert time.monotonic() < end
    assert found["status"] == "done", found
    assert "Label" in found["sentence"]  # nothing has a label or a name yet
    assert {plan["title"] for plan in found["plans"]}
    assert all(out["why"].endswith(".") for out in found["ruled_out"])


async def test_unknown_paths_and_methods(open_page):
    async with open_page() as client:
        assert (await client.get("nothing")).status_code == 404
        assert (await client.get("answers")).status_code == 405
