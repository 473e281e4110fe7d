"""What the driver raises becomes what a caller can act on, and nothing else does."""

from __future__ import annotations

import pytest

from common.broker_failures import BrokerAway, broker_failures


@pytest.mark.parametrize("raised", [Exception, ConnectionResetError, TimeoutError, RuntimeError])
async def test_a_connection_that_closes_is_a_broker_that_is_away(raised: type[Exception]) -> None:
    """Also where the driver says nothing of why."""
    with pytest.raises(BrokerAway), broker_failures():
        raise raised


async def test_a_mistake_of_ours_stays_one() -> None:
    """Trying again would hide it for ever."""
    with pytest.raises(KeyError), broker_failures():
        raise KeyError("partition")
