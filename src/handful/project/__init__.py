"""The images of a folder, what is said of them, and what was found out: all in ``.handful/``."""

from handful.project.classes import ClassEvent, ClassLog
from handful.project.huggingface import import_huggingface, is_huggingface
from handful.project.interchange import ImportReport, undo_import
from handful.project.label_studio import (
    export_label_studio,
    import_label_studio,
    label_studio_config,
    label_studio_tasks,
)
from handful.project.labels import Label, LabelEvent, LabelLog, LoggedEvent
from handful.project.project import Contradiction, Image, Project, Unusable
from handful.project.scan import ScanReport
from handful.project.splits import (
    assign_splits,
    crosses_into_test,
    group_by_duplicates,
    stratified_holdout,
)
from handful.project.steps import Step
from handful.project.tables import escape_cell, export_csv, import_csv
from handful.project.walk import IMAGE_SUFFIXES, hash_file

__all__ = [
    "IMAGE_SUFFIXES",
    "ClassEvent",
    "ClassLog",
    "Contradiction",
    "Image",
    "ImportReport",
    "Label",
    "LabelEvent",
    "LabelLog",
    "LoggedEvent",
    "Project",
    "ScanReport",
    "Step",
    "Unusable",
    "assign_splits",
    "crosses_into_test",
    "escape_cell",
    "export_csv",
    "export_label_studio",
    "group_by_duplicates",
    "hash_file",
    "import_csv",
    "import_huggingface",
    "import_label_studio",
    "is_huggingface",
    "label_studio_config",
    "label_studio_tasks",
    "stratified_holdout",
    "undo_import",
]
