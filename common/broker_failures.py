"""What can go wrong between a service and the broker, told apart by what the caller should do next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiormq.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError

from common.cancellation import was_cancelled


class PublishFailed(Exception):
    """Expected: the broker did not confirm a message; publishing it again is right, for consumers know duplicates."""


class Unroutable(PublishFailed):
    """Unexpected: no queue is bound for this message, so nothing has kept it."""


class Rejected(PublishFailed):
    """Expected: a queue is full and refuses more; slow down."""


class BrokerAway(PublishFailed):
    """Expected: the broker is away, blocked or silent; whether a message arrived is not known."""


@contextmanager
def broker_failures() -> Iterator[None]:
    """Turns what the driver raises inside into `PublishFailed`; a real cancellation goes on.

    Raises:
        Unroutable: basic.return.
        Rejected: basic.nack.
        BrokerAway: everything that means the channel or the connection is gone.
    """
    try:
        yield
        if was_cancelled():
            # The driver waits with asyncio.wait_for, which in Python 3.11 swallows a cancellation that comes together
            # with the result; a background task would then never end.
            raise asyncio.CancelledError  # noqa: TRY301 - joins the way of every other cancellation
    except PublishError as returned:
        raise Unroutable(f"no queue is bound: {returned.args!r}") from returned
    except DeliveryError as refused:
        raise Rejected("a queue refused the message") from refused
    except TimeoutError as silent:
        raise BrokerAway("no answer in time") from silent
    except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError) as gone:
        raise BrokerAway(type(gone).__name__) from gone
    except asyncio.CancelledError as gone:
        if was_cancelled():
            raise
        raise BrokerAway("the channel closed") from gone
    except Exception as gone:
        # What the driver ends calls with when their connection closes without a reason: an exception of no kind.
        if type(gone) is not Exception:
            raise
        raise BrokerAway("the connection closed") from gone
