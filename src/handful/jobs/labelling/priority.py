"""Who waits for whom: a person never waits for a model."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

_NICE = 10


def give_way() -> None:
    """Let the calling thread, and those it will start, run when nobody else wants the processor.

    Linux alone knows priorities of threads; elsewhere nothing happens.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
