"""Turns signals into an ordered stop: the first one cancels the running task, a later one ends the programs at once."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A wrapper such as make passes on a signal that the terminal has sent to us too: that is one wish, not two.
SAME_WISH_S = 1.0


class Interrupts:
    """The signal that asked for the stop, if any did."""

    def __init__(self) -> None:
        self.first: int | None = None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal has ended."""
        return 128 + (self.first or signal.SIGTERM)


@contextmanager
def interrupts(hurry: Callable[[], object]) -> Iterator[Interrupts]:
    """Cancels the current task at the first signal and calls `hurry` at a later one."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    seen, begin = Interrupts(), 0.0

    def handle(number: int) -> None:
        nonlocal begin
        if seen.first is None:
            seen.first, begin = number, time.monotonic()
            if task is not None:
                task.cancel()
        elif time.monotonic() - begin > SAME_WISH_S:
            hurry()

    for each in SIGNALS:
        loop.add_signal_handler(each, handle, each)
    try:
        yield seen
    finally:
        for each in SIGNALS:
            loop.remove_signal_handler(each)
