"""Telling one's own cancellation from that of what one waits for: both raise the same."""

from __future__ import annotations

import asyncio


def was_cancelled() -> bool:
    """Whether somebody wants the current task to end.

    aiormq raises CancelledError as well when a channel dies, and so does a gRPC call that was given up.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
