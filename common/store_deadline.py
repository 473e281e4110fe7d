"""Hands the deadline of a call on to the store, so that nothing goes on there for a caller who has given up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from common.mongo import time_limit
from common.rpc_guard import CallShape, Context, GuardInterceptor

# No single question is worth more, whatever its caller would wait.
_LONGEST_SECONDS = 25.0
# On its way a deadline is rounded up to three digits, so by less than a hundredth: so much is not the caller's.
_SHARE_OF_DEADLINE = 0.99


class StoreDeadlineInterceptor(GuardInterceptor):
    """Every command of a call gets what is left of its deadline as its own limit (`maxTimeMS`), at most 25 s.

    A stream of answers is many questions, and may last longer than one is worth: the stores limit each of them.
    """

    @asynccontextmanager
    async def guard(self, shape: CallShape, context: Context) -> AsyncIterator[None]:
        """Limits what the handler asks of the store."""
        if shape.response_streaming:
            yield
            return
        left_seconds = context.time_remaining()
        limit_seconds = _LONGEST_SECONDS if left_seconds is None else left_seconds * _SHARE_OF_DEADLINE
        with time_limit(max(0.001, min(limit_seconds, _LONGEST_SECONDS))):
            yield
