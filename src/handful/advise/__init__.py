"""Which plan fits: what the data look like, what each plan would give and cost, on what evidence."""

from handful.advise.advice import Advice, advise, kind_of
from handful.advise.evidence import Evidence, Row, packaged_evidence, read_evidence
from handful.advise.facts import Data, Machine, domain_distance, purity, this_machine
from handful.advise.forecast import names_accuracy
from handful.advise.plans import (
    ADAPTED,
    FEWEST_UNLABELLED,
    METHODS,
    MOST_LABELS,
    NAMES,
    TITLES,
    ZERO_SHOT,
    Case,
    Plan,
)
from handful.advise.trial import MORE, Gain, Trial, trial_of, try_out

__all__ = [
    "ADAPTED",
    "FEWEST_UNLABELLED",
    "METHODS",
    "MORE",
    "MOST_LABELS",
    "NAMES",
    "TITLES",
    "ZERO_SHOT",
    "Advice",
    "Case",
    "Data",
    "Evidence",
    "Gain",
    "Machine",
    "Plan",
    "Row",
    "Trial",
    "advise",
    "domain_distance",
    "kind_of",
    "names_accuracy",
    "packaged_evidence",
    "purity",
    "read_evidence",
    "this_machine",
    "trial_of",
    "try_out",
]
