"""How usages of parts of a time come together: what is first and last goes by time, not by who came first."""

import itertools

import pytest

from billing.cold.usage_sum import TimedPower, Usage, add_up, add_up_devices


def part(at_ms: int, first_kw: float | None = None, last_kw: float | None = None) -> Usage:
    """A usage of one reading or more in a cell."""
    first, last = (None if kw is None else TimedPower(at_ms, kw) for kw in (first_kw, last_kw))
    return Usage(reading_count=1, first_power=first, last_power=last)


PARTS = (part(0), part(10, 5.0, 1.0), part(20, 9.0, 0.25), part(30, 2.0, 7.0), part(40))


@pytest.mark.parametrize("order", list(itertools.permutations(PARTS)))
def test_the_order_of_the_parts_changes_nothing(order: tuple[Usage, ...]) -> None:
    """The first power is that of the earliest part that has one, the last that of the latest."""
    total = add_up(order)

    assert (total.first_power_kw, total.last_power_kw) == (5.0, 7.0)


def test_powers_that_nobody_measured_are_absent() -> None:
    """Absent is absent, not zero; a power of zero is a power."""
    nothing, zero = add_up([part(0), part(1)]), add_up([part(0), part(1, 0.0, 0.0)])

    assert (nothing.first_power_kw, nothing.last_power_kw) == (None, None)
    assert (zero.first_power_kw, zero.last_power_kw) == (0.0, 0.0)


@pytest.mark.parametrize(("usages", "devices"), [(PARTS[1:3], 2), (PARTS[1:2], 2), ((), 0)])
def test_of_several_devices_no_power_is_first_or_last(usages: tuple[Usage, ...], devices: int) -> None:
    """Nor where only one of them has readings; what each of them comes to stays as it was."""
    total = add_up_devices(usages, devices)

    assert (total.first_power_kw, total.last_power_kw) == (None, None)
    assert total.reading_count == len(usages)
    assert all(usage.first_power_kw is not None for usage in usages)


def test_the_total_of_one_device_is_its_usage() -> None:
    """With its first and last power."""
    assert add_up_devices(PARTS[1:2], 1) == PARTS[1]


def test_usages_are_equal_however_they_were_cut_into_cells() -> None:
    """The cell that a power was found in tells the order and is nothing that was used."""
    assert part(10, 5.0, 1.0) == part(0, 5.0, 1.0) != part(0, 5.0, 2.0)
