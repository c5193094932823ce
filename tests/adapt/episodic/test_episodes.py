from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from handful.adapt.episodic.episodes import Episodes, Shape  # noqa: E402
from handful.core import AdaptError  # noqa: E402


def numbered(counts: list[int]) -> Episodes:
    """Return images whose first pixel is their number, not symmetric under turning."""
    n = sum(counts)
    squares = np.zeros((n, 4, 4, 3), np.uint8)
    squares[:, 0, 0] = np.arange(n)[:, None]
    return Episodes(squares, np.repeat(np.arange(len(counts)), counts))


def test_a_task_has_different_images_of_different_classes() -> None:
    torch.manual_seed(0)
    episodes, shape = numbered([6, 4, 9, 5]), Shape(3, 1, 3)
    for _ in range(20):
        x = episodes.draw(shape)[:, 0, 0, 0].numpy()
        assert len(set(x)) == 12
        classes = episodes.codes[x].reshape(3, 4)
        assert (classes == classes[:, :1]).all() and len(set(classes[:, 0])) == 3


def test_the_seed_decides_the_task() -> None:
    found = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        found.append(numbered([6, 4, 9, 5]).draw(Shape(3, 1, 3)))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_turned_images_are_classes_of_their_own() -> None:
    squares = np.random.default_rng(0).integers(0, 256, (4, 5, 5, 3), dtype=np.uint8)
    episodes = Episodes(squares, np.array([0, 0, 1, 1]), rotations=True)
    assert episodes.codes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    x = episodes.at(np.array([1, 5, 9, 13])).permute(0, 2, 3, 1).numpy()
    for quarter in range(4):
        assert np.array_equal(x[quarter], np.rot90(squares[1], quarter))


@pytest.mark.parametrize(
    ("shape", "said"),
    [(Shape(5, 1, 1), "5-way tasks need 5 classes.*Got 4"), (Shape(3, 2, 4), "too few have 'b', 'd'")],
)  # fmt: skip
def test_tasks_that_cannot_be_drawn_are_refused(shape: Shape, said: str) -> None:
    with pytest.raises(AdaptError, match=said):
        numbered([6, 4, 9, 5]).check(shape, "to train on", "abcd")


@pytest.mark.parametrize("numbers", [(1, 1, 1), (2, 0, 1), (2, 1, 0)])
def test_sizes_out_of_range_are_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        Shape(*numbers)
