"""How often a method that was trained on tasks is right on tasks of new classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handful.core import AdaptError, Estimate, listed
from handful.jobs.episodic_classes import codes_of, squares_of
from handful.jobs.workspace import refuse_unlabelled
from handful.measure import over_tasks, sample_episodes
from handful.project import Project


@dataclass(frozen=True)
class NewTasks:
    """Which tasks to be tested on.

    Parameters
    ----------
    way, shot, query : int, default=5, 1, 15
        Classes, and images of each that are given and asked.
    n_tasks : int, default=1000
    rotations : bool, default=False
        Turned images are classes of their own.
    random_state : int, default=0
        Draws the tasks.
    """

    way: int = 5
    shot: int = 1
    query: int = 15
    n_tasks: int = 1000
    rotations: bool = False
    random_state: int = 0


def accuracy_on_new_classes(
    run: Path | str,
    images: Path | str,
    *,
    tasks: NewTasks | None = None,
    project_dir: Path | None = None,
    quiet: bool = False,
) -> Estimate:
    """Return the accuracy of a trained method, its heads and adaptation included, on tasks of a folder.

    `handful episodes` measures the backbone alone, under rules that are fitted on its vectors.

    Parameters
    ----------
    run : Path or str
        Folder of a finished run of `adapt_on_tasks`.
    images : Path or str
        A folder of classes, none of which the run saw.
    tasks : NewTasks, optional
        5-way, 1-shot, as papers have them.
    project_dir, quiet
        As in `handful.fit`.

    Returns
    -------
    Estimate
        With Student's interval over tasks.

    Raises
    ------
    AdaptError
        If the run is none, or saw one of the images.
    MeasureError
        If such tasks cannot be drawn.
    """
    from handful.adapt import Episodes, load_method, task_accuracies

    asked = tasks or NewTasks()
    method, network = load_method(Path(run))
    with Project.open(Path(images), project_dir=project_dir) as project:
        scanned = project.scan(quiet=quiet)
        labelled = [image for image in project.images() if image.label is not None]
        refuse_unlabelled(project, scanned, labelled)
        kept, squares = squares_of(project, labelled, network.preprocess, quiet=quiet)
    names = sorted({str(image.label) for image in kept})
    seen = sorted({str(i.label) for i in kept if i.hash in network.saw_labels_of})
    if seen:
        raise AdaptError(
            f"{network.name!r} saw images of these classes, so that they are not new to it: "
            f"{listed(map(repr, seen))}. Give a folder of other classes."
        )
    rows, codes = codes_of(kept, names)
    episodes = Episodes(squares[rows], codes, rotations=asked.rotations)
    labels = np.array([f"class {code}" for code in episodes.codes])
    drawn = sample_episodes(
        labels, asked.way, asked.shot, asked.query, asked.n_tasks, asked.random_state
    )
    found = task_accuracies(method, episodes, drawn, network.mean, network.std)
    return over_tasks(found, "accuracy", f"{drawn.how}, of {len(names)} new classes")
