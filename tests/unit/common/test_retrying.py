"""Trying for as long as it takes, and only what is worth it."""

from collections.abc import Callable

import pytest

from common.retrying import retried_for_ever


class _Away(Exception):
    """Expected: the peer of this test is not there yet."""


async def test_what_is_away_is_tried_until_it_is_there() -> None:
    """However often that takes."""
    tries = 0

    async for attempt in retried_for_ever(_Away, wait_initial_seconds=0, wait_maximum_seconds=0):
        with attempt:
            tries += 1
            if tries < 50:
                raise _Away

    assert tries == 50


async def test_another_failure_comes_out_at_once() -> None:
    """It would not get better by waiting."""
    tries: list[OSError] = []

    with pytest.raises(OSError, match="try 1"):
        await _fail_for_ever(tries, _Away)

    assert len(tries) == 1


async def test_a_rule_may_say_what_is_worth_another_try() -> None:
    """Where the class of a failure does not tell."""
    tries: list[OSError] = []

    with pytest.raises(OSError, match="try 3"):
        await _fail_for_ever(tries, lambda failure: str(failure) != "try 3")

    assert len(tries) == 3


async def _fail_for_ever(tries: list[OSError], on: type[Exception] | Callable[[Exception], bool]) -> None:
    async for attempt in retried_for_ever(on, wait_initial_seconds=0, wait_maximum_seconds=0):
        with attempt:
            tries.append(OSError(f"try {len(tries) + 1}"))
            raise tries[-1]
