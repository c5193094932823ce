"""Few-shot tasks: what is drawn, what is refused, how they are shared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.core import MeasureError
from handful.measure import (
    Realism,
    Tasks,
    prototype_distances,
    read_taxonomy,
    sample_episodes,
    taxonomy_distances,
)


def labels(n_classes=8, n_each=30):
    return np.repeat([f"class {c}" for c in range(n_classes)], n_each)


def names_of(tasks, rows, y):
    return np.where(rows >= 0, y[rows], "")


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16), way=st.integers(2, 8), shot=st.integers(1, 6),
    n_query=st.one_of(st.none(), st.integers(1, 10)), imbalance=st.sampled_from([None, 0.3, 2.0]),
    ranges=st.booleans(), grouped=st.booleans(),
)  # fmt: skip
def test_every_task_holds_what_it_says(seed, way, shot, n_query, imbalance, ranges, grouped):
    y = labels()
    groups = np.arange(len(y)) // 2 if grouped else None
    realism = Realism(imbalance=imbalance if n_query else None)
    n_way, n_shot = ((2, way), (1, shot)) if ranges else (way, shot)
    tasks = sample_episodes(
        y, n_way, n_shot, min(n_query, 15 - shot) if n_query else None, 20, seed, groups=groups, realism=realism
    )  # fmt: skip
    names = np.array(tasks.class_names)
    for t in range(len(tasks)):
        own = tasks.classes[t][tasks.classes[t] >= 0]
        assert len(set(own)) == len(own) and 2 <= len(own) <= way
        given = tasks.support[t][: len(own)]
        assert (given >= 0).any(axis=1).all()
        for place, rows in zip(own, given, strict=True):
            assert (y[rows[rows >= 0]] == names[place]).all()
        asked = tasks.query[t] >= 0
        assert (
            y[tasks.query[t][asked]] == names[tasks.classes[t][tasks.query_codes[t][asked]]]
        ).all()
        support = tasks.support[t][tasks.support[t] >= 0]
        assert not set(tasks.units[support]) & set(tasks.units[tasks.query[t][asked]])
        if n_query and not ranges:
            assert asked.sum() == way * min(n_query, 15 - shot)
        if n_query is None:
            kept = np.isin(y, names[own]) & ~np.isin(tasks.units, tasks.units[support])
            assert set(tasks.query[t][asked]) == set(np.flatnonzero(kept))


def test_the_same_seed_gives_the_same_list_and_another_one_another():
    y = labels()
    first, again, other = (sample_episodes(y, n_tasks=30, random_state=s) for s in (1, 1, 2))
    assert first == again and hash(first) == hash(again)
    assert first != other and len({first, again, other}) == 2


def test_classes_and_images_are_used_about_equally_often():
    tasks = sample_episodes(labels(), 4, 2, 5, 4000)
    per_class = np.bincount(tasks.classes.ravel())
    assert per_class.min() > 0.93 * per_class.mean()
    per_image = np.bincount(tasks.support.ravel(), minlength=240)
    assert abs(per_image / per_image.mean() - 1).max() < 0.35
    first_asked = np.bincount(tasks.query_codes[:, 0], minlength=4) / 4000
    np.testing.assert_allclose(
        first_asked, 0.25, atol=0.03
    )  # the order of the queries tells nothing


def test_names_may_be_numbers_with_gaps():
    y = np.repeat([3, 70, -5], 20)
    tasks = sample_episodes(y, 3, 1, 5, 10)
    assert tasks.class_names == ("-5", "3", "70")
    tasks.check_images(y)


def test_queries_can_be_unbalanced():
    even = sample_episodes(labels(), 5, 1, 10, 500)
    uneven = sample_episodes(labels(), 5, 1, 10, 500, realism=Realism(imbalance=0.5))
    counts = [
        np.stack([(t.query_codes == c).sum(axis=1) for c in range(5)]) for t in (even, uneven)
    ]
    assert (counts[0] == 10).all()
    assert counts[1].std() > 5
    assert (counts[1].sum(axis=0) == 50).all()


def test_images_of_other_classes_can_be_asked():
    y = labels()
    tasks = sample_episodes(y, 5, 1, 3, 50, realism=Realism(n_unknown=7))
    assert tasks.query.shape == (50, 22)
    for t in range(50):
        others = tasks.query[t][tasks.query_codes[t] < 0]
        assert len(others) == 7
        assert not np.isin(y[others], np.array(tasks.class_names)[tasks.classes[t]]).any()


def test_classes_with_too_few_images_are_left_out_and_named():
    y = np.concatenate([labels(5), np.repeat("rare", 3)])
    tasks = sample_episodes(y, 3, 1, 5, 50)
    assert tasks.left_out == ("rare",)
    assert 5 not in tasks.classes
    taken = sample_episodes(y, 6, 4, None, 50, realism=Realism(fewer_shots=True))
    place = taken.classes == 5
    assert place.any() and ((taken.support[place] >= 0).sum(axis=1) == 1).all()


def test_a_group_of_several_classes_is_kept_on_one_side():
    y = labels(4, 10)
    groups = np.tile(np.arange(10), 4)
    tasks = sample_episodes(y, 2, 1, 3, 100, groups=groups)
    given, asked = tasks.units[tasks.support].reshape(100, -1), tasks.units[tasks.query]
    assert not (given[:, :, None] == asked[:, None, :]).any()
    with pytest.raises(MeasureError, match=r"a group in both support and query.*Split the groups"):
        sample_episodes(y, 4, 5, 5, 10, groups=groups)


def test_lists_are_saved_shared_and_checked(tmp_path):
    y = labels()
    tasks = sample_episodes(y, (2, 5), (1, 3), 4, 20, realism=Realism(n_unknown=2))
    tasks.save(tmp_path / "tasks.npz")
    loaded = Tasks.load(tmp_path / "tasks.npz")
    assert loaded == tasks and loaded.how == tasks.how and loaded.left_out == tasks.left_out
    loaded.check_images(y)
    with pytest.raises(MeasureError, match=r"drawn from 240 images\. Got the labels of 3"):
        loaded.check_images(y[:3])
    with pytest.raises(MeasureError, match=r"drawn from other labels: image .* was 'class"):
        loaded.check_images(y[::-1])


def test_a_file_that_is_none_or_is_damaged_is_named(tmp_path):
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(MeasureError, match=r"is not a list of tasks\. Give a file"):
        Tasks.load(tmp_path / "text.npz")
    tasks = sample_episodes(labels(), 2, 1, 2, 3)
    tasks.save(tmp_path / "tasks.npz")
    with np.load(tmp_path / "tasks.npz") as file:
        content = dict(file)
    for change, message in (
        ({"query": content["query"][:, ::-1]}, "damaged: its fingerprint"),
        ({"format_version": np.array(9)}, "has format 9"),
    ):
        np.savez(tmp_path / "other.npz", **{**content, **change})
        with pytest.raises(MeasureError, match=message):
            Tasks.load(tmp_path / "other.npz")


def test_one_image_twice_in_a_task_is_refused():
    tasks = sample_episodes(labels(), 2, 1, 2, 3)
    query = tasks.query.copy()
    query[1, 0] = tasks.support[1, 0, 0]
    with pytest.raises(
        MeasureError, match=r"1 of 3 tasks have an image twice: task 1 .* both given and asked"
    ):
        replace(tasks, query=query)


def test_a_duplicate_of_a_given_image_may_not_be_asked():
    tasks = sample_episodes(labels(), 2, 1, 2, 3)
    units = tasks.units.copy()
    units[tasks.query[2, 0]] = units[tasks.support[2, 0, 0]]
    with pytest.raises(
        MeasureError, match=r"whose duplicate or group is in the support \(the first is task 2\)"
    ):
        replace(tasks, units=units)


def test_rows_outside_the_images_are_refused():
    tasks = sample_episodes(labels(), 2, 1, 2, 3)
    with pytest.raises(MeasureError, match="Tasks name rows of 240 images from 0, or -1"):
        replace(tasks, query=tasks.query + 240)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_way": 9}, r"9-way tasks need 9 classes\. Got 8: .*Use n_way=8 or less"),
        ({"n_shot": 20}, r"need 5 classes with 35 images each\. Got 0; too few have 'class 0'.*n_shot=15 or less"),
        ({"n_query": 40}, "Ask for fewer queries, or label more"),
    ],
)  # fmt: skip
def test_too_few_classes_or_images_say_what_fits(arguments, message):
    with pytest.raises(MeasureError, match=message):
        sample_episodes(labels(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_way": 1}, "'n_way' parameter of sample_episodes must be a whole number of at least 2"),
        ({"n_shot": (3, 2)}, r"'n_shot' parameter .* Got \(3, 2\)"),
        ({"n_tasks": 0}, "takes at least 1 task, 1 query and 0 unknown images. Got 0, 15 and 0"),
        ({"realism": Realism(imbalance=0.0)}, "'imbalance' of Realism must be above 0"),
        ({"realism": Realism(imbalance=1.0), "n_query": None}, "nothing to draw by imbalance"),
        ({"realism": Realism(distances=np.ones((3, 3)))}, r"'distances' .* of shape \(8, 8\)"),
        ({"groups": np.arange(3)}, "'groups' must have one entry an image"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_episodes(labels(), **arguments)


def test_an_array_that_is_none_is_refused():
    with pytest.raises(ValueError, match="must be one class an image"):
        sample_episodes(np.zeros((3, 2)))


def line_of_classes(n=20):
    place = np.arange(n)
    return 2.0 * np.abs(place[:, None] - place[None, :])


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_semantic_tasks_are_finer_and_use_classes_equally(seed):
    y, distances = labels(20), line_of_classes()
    plain = sample_episodes(y, 5, 1, 5, 300, seed)
    near = sample_episodes(y, 5, 1, 5, 300, seed, realism=Realism(distances=distances))
    assert near.coarsity(distances).mean() < 0.4 * plain.coarsity(distances).mean()
    used, usual = (np.bincount(t.classes.ravel(), minlength=20) for t in (near, plain))
    assert used.min() > 0.5 * used.mean() and used.max() < 1.6 * used.mean()
    assert usual.sum() == used.sum()


def test_without_strength_semantic_tasks_are_as_coarse_as_any():
    y, distances = labels(20), line_of_classes()
    plain = sample_episodes(y, 5, 1, 5, 1000).coarsity(distances)
    drawn = sample_episodes(y, 5, 1, 5, 1000, realism=Realism(distances=distances, alpha=0.0))
    assert abs(drawn.coarsity(distances).mean() / plain.mean() - 1) < 0.05


def test_coarsity_is_the_mean_squared_distance_of_pairs():
    tasks = sample_episodes(labels(4), (2, 3), 1, 2, 30)
    distances = line_of_classes(4)
    found = tasks.coarsity(distances)
    for t in range(30):
        own = tasks.classes[t][tasks.classes[t] >= 0]
        pairs = [distances[a, b] ** 2 for a in own for b in own if a != b]
        assert found[t] == pytest.approx(np.mean(pairs))


def test_distances_of_a_taxonomy():
    edges = [("thing", "animal"), ("animal", "cat"), ("animal", "dog"), ("thing", "car")]
    found = taxonomy_distances(edges, ["cat", "dog", "car"], [10, 30, 60])
    assert found[0, 1] == pytest.approx(2 * np.log(40) - np.log(10) - np.log(30))
    assert found[0, 2] == pytest.approx(2 * np.log(100) - np.log(10) - np.log(60))
    np.testing.assert_array_equal(found, found.T)


def test_of_several_common_ancestors_the_lowest_counts():
    edges = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("b", "z"), ("a", "b")]
    found = taxonomy_distances(edges, ["x", "y", "z"], [1, 1, 8])
    assert found[0, 1] == pytest.approx(2 * np.log(10))
    loose = taxonomy_distances(
        [*edges, ("c", "x"), ("c", "y"), ("a", "c")], ["x", "y", "z"], [1, 1, 8]
    )
    assert loose[0, 1] == pytest.approx(2 * np.log(2))


@pytest.mark.parametrize(
    ("edges", "names", "message"),
    [
        ([("a", "x")], ["x", "q"], r"must be in the taxonomy and have images\. Not so: q"),
        (
            [("a", "x"), ("b", "y")],
            ["x", "y"],
            r"'y' and 'x' have no ancestor in common\. Give the taxonomy one root",
        ),
    ],
)
def test_a_taxonomy_that_lacks_something_is_named(edges, names, message):
    with pytest.raises(MeasureError, match=message):
        taxonomy_distances(edges, names, [1] * len(names))


def test_a_taxonomy_is_read_from_a_file(tmp_path):
    file = tmp_path / "taxonomy.csv"
    file.write_text('parent,child\nthing,"cat, small"\n\nthing, dog\n', encoding="utf-8")
    assert read_taxonomy(file) == [("thing", "cat, small"), ("thing", "dog")]
    for content, message in (("a,b\na\nx,y,z\n", r"Not so: line 2, 3\."), ("", "it is empty")):
        file.write_text(content)
        with pytest.raises(MeasureError, match=message):
            read_taxonomy(file)


def test_distances_of_vectors_are_small_between_like_classes():
    X = np.eye(6)[[0, 0, 1, 2]] + np.eye(6)[[1, 1, 0, 5]] * 0.8
    found = prototype_distances(np.repeat(X[[0, 2, 3]], 4, axis=0), np.repeat(["a", "b", "c"], 4))
    assert found[0, 1] < found[0, 2]
    np.testing.assert_array_equal(np.diag(found), 0)
