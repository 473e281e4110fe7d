"""Trying for as long as it takes: what a service does about a peer or a server that it cannot do without."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

import stamina


def retried_for_ever(
    on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool],
    *,
    wait_initial_seconds: float,
    wait_maximum_seconds: float,
) -> AsyncIterable[stamina.Attempt]:
    """Attempts without an end, after pauses that double up to a maximum and differ by up to the initial one.

    Only failures that `on` names are tried again; any other comes out. Use it as
    `async for attempt in retried_for_ever(...): with attempt: ...`; whoever calls sets the deadline of an attempt.
    """
    return stamina.retry_context(
        on=on,
        attempts=None,
        timeout=None,
        wait_initial=wait_initial_seconds,
        wait_max=wait_maximum_seconds,
        wait_jitter=wait_initial_seconds,
    )
