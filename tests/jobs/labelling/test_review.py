from __future__ import annotations


def test_two_annotators_on_one_image_disagree(opened, ann, bob):
    shared, other = sorted(opened.queue.pool.row)[:2]
    ann.say({"image": shared, "kind": "human", "label": "cat"})
    bob.say({"image": shared, "kind": "human", "label": "dog"})
    ann.say({"image": other, "kind": "human", "label": "cat"})
    bob.say({"image": other, "kind": "human", "label": "cat"})
    assert opened.ledger.label(shared) == "dog"  # the later answer holds, both are kept
    found = opened.review()
    (look,) = [look for look in found["looks"] if look["kind"] == "dispute"]
    assert look["image"] == shared
    assert {(c["label"], c["why"]) for c in look["choices"]} == {("cat", "Ann"), ("dog", "Bob")}
    assert found["together"]["n"] == 2
    assert found["together"]["agreement"] == 0.5
    people = [(p["name"], p["n"], p["accuracy"]) for p in found["together"]["annotators"]]
    assert people == [("Ann", 2, None), ("Bob", 2, None)]  # two images do not tell who errs


def test_with_enough_shared_images_accuracies_are_estimated(opened, ann, bob, pixels):
    for place, image in enumerate(opened.queue.pool.images[:60]):
        label = pixels.truth(image.name)
        ann.say({"image": image.hash, "kind": "human", "label": label})
        wrong = str((int(label) + 1) % 10) if place % 3 == 0 else label
        bob.say({"image": image.hash, "kind": "human", "label": wrong})
    ann_, bob_ = opened.review()["together"]["annotators"]
    assert ann_["n"] == bob_["n"] == 60
    assert 0 < bob_["accuracy"] <= 1 and 0 < ann_["accuracy"] <= 1
    assert all(p["interval"][0] <= p["accuracy"] <= p["interval"][1] for p in (ann_, bob_))


def test_one_annotator_agrees_with_nobody(opened, ann):
    ann.label(5)
    assert opened.review()["together"] is None


def test_a_wrong_label_is_suspected_with_the_class_it_should_have(opened, ann, pixels, wait):
    pool = opened.queue.pool
    rows = [row for row in range(110) if not pool.is_reserved[row]]
    wrong = next(r for r in rows if pixels.truth(pool.images[r].name) == "0")
    for row in rows:
        image = pool.images[row]
        label = "6" if row == wrong else pixels.truth(image.name)
        ann.say({"image": image.hash, "kind": "human", "label": label})
    wait(lambda: opened.queue.model.n_labels == len(rows))
    looks = {look["image"]: look for look in opened.review()["looks"]}
    look = looks[pool.images[wrong].hash]
    assert look["kind"] == "suspect"
    assert [choice["label"] for choice in look["choices"]] == ["6", "0"]
    ann.say({"image": look["image"], "kind": "human", "label": "6"})  # said twice: believed
    assert look["image"] not in {again["image"] for again in opened.review()["looks"]}


def test_a_flag_comes_back_until_it_is_settled(opened, ann):
    image = sorted(opened.queue.pool.row)[0]
    ann.say({"image": image, "kind": "human", "label": "cat", "flagged": True})
    (look,) = opened.review()["looks"]
    assert (look["kind"], look["choices"][0]["label"]) == ("flag", "cat")
    ann.say({"image": image, "kind": "human", "label": "cat"})
    assert opened.review()["looks"] == []
