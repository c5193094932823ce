"""The server's bounded queue: what is admitted, and when the answer is 503."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from handful.web.limits import Limits, RefusedError


class Admission:
    """Count the images and bytes of all requests being answered.

    Parameters
    ----------
    limits : Limits
        ``max_waiting`` and ``max_held_bytes`` are read.

    Examples
    --------
    >>> admission = Admission(Limits())
    >>> with admission.ticket() as ticket:
    ...     ticket.take(images=3)
    ...     admission.images
    3
    >>> admission.images
    0
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.images = self.n_bytes = 0

    @contextmanager
    def ticket(self) -> Iterator[Ticket]:
        """Admit one request, or raise `RefusedError` with 503 when the queue is full."""
        if self.images >= self.limits.max_waiting:
            raise _overloaded(f"{self.images} images are waiting")
        ticket = Ticket(self)
        try:
            yield ticket
        finally:
            self.images -= ticket.images
            self.n_bytes -= ticket.n_bytes


class Ticket:
    """What one admitted request holds; `Admission.ticket` makes and returns it."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.images = self.n_bytes = 0

    def take(self, *, images: int = 0, n_bytes: int = 0) -> None:
        """Hold more until the request ends, or raise `RefusedError` with 503.

        Parameters
        ----------
        images : int, default=0
            Images to answer.
        n_bytes : int, default=0
            Bytes of the body that arrived.
        """
        admission, limits = self.admission, self.admission.limits
        if admission.images + images > limits.max_waiting:
            raise _overloaded(f"{admission.images} images are waiting")
        if admission.n_bytes + n_bytes > limits.max_held_bytes:
            raise _overloaded("the uploads being read fill the memory set aside for them")
        self.images += images
        self.n_bytes += n_bytes
        admission.images += images
        admission.n_bytes += n_bytes


def _overloaded(what: str) -> RefusedError:
    message = f"The server is overloaded: {what}. Try again in a second."
    return RefusedError(503, "overloaded", message, {"Retry-After": "1"})
