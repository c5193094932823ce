from __future__ import annotations

import contextlib
import math

import pytest

from handful.web import Limits, RefusedError
from handful.web.admission import Admission


@pytest.mark.parametrize("name", list(Limits.__dataclass_fields__))
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_limits_are_positive_and_finite(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})


def test_no_wait_is_a_limit():
    assert Limits(max_wait_ms=0).max_wait_ms == 0


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_files": 300}, "'max_files' limit must be at most 'max_waiting'"),
        ({"max_bytes": 2**30}, "'max_bytes' limit must be at most 'max_request_bytes'"),
        ({"max_held_bytes": 2**20}, "'max_request_bytes' limit must be at most 'max_held_bytes'"),
    ],
)
def test_limits_agree(limits, message):
    with pytest.raises(ValueError, match=message):
        Limits(**limits)


def test_a_ticket_gives_back_what_it_took():
    admission = Admission(Limits(max_waiting=64))
    with admission.ticket() as ticket, admission.ticket() as other:
        ticket.take(images=60, n_bytes=5)
        with pytest.raises(RefusedError, match="60 images") as refused:
            other.take(images=5)
        assert refused.value.status == 503
        assert (admission.images, admission.n_bytes) == (60, 5)
    assert (admission.images, admission.n_bytes) == (0, 0)


def test_a_ticket_gives_back_after_an_error():
    admission = Admission(Limits())
    with contextlib.suppress(OSError), admission.ticket() as ticket:
        ticket.take(images=3, n_bytes=5)
        raise OSError
    assert (admission.images, admission.n_bytes) == (0, 0)


def test_a_full_queue_gives_no_ticket():
    admission = Admission(Limits(max_waiting=64))
    with admission.ticket() as ticket:
        ticket.take(images=64)
        with pytest.raises(RefusedError, match="overloaded"), admission.ticket():
            pass
