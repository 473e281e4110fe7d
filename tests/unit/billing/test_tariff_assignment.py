"""Whose tariff a device has: its own, that of its site, or that of a group."""

import random

import pytest

from billing.tariffs.tariff_assignment import AssignmentVersion, TariffAssignment, counting, effective_assignments


def own(tariff_id: str, start_ms: int) -> TariffAssignment:
    """An assignment to the device itself."""
    return TariffAssignment("m-1", tariff_id, start_ms)


def site(tariff_id: str, start_ms: int) -> TariffAssignment:
    """An assignment to its site."""
    return TariffAssignment("", tariff_id, start_ms, site_id="depot")


def group(group_id: str, tariff_id: str, start_ms: int) -> TariffAssignment:
    """An assignment to a group of it."""
    return TariffAssignment("", tariff_id, start_ms, group_id=group_id)


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ([], []),
        ([site("s", 10)], [("s", 10)]),
        ([site("s", 10), own("o", 20), site("s2", 30)], [("s", 10), ("o", 20)]),
        ([site("s", 10), own("o", 20), own("", 30), site("s2", 40)], [("s", 10), ("o", 20), ("s", 30), ("s2", 40)]),
        ([group("a", "a", 10), site("s", 20), site("", 30)], [("a", 10), ("s", 20), ("a", 30)]),
        ([group("b", "b", 10), group("a", "a", 20), group("a", "", 30)], [("b", 10), ("a", 20), ("b", 30)]),
        ([group("b", "b", 10), group("a", "a", 10)], [("a", 10)]),
        ([own("o", 10), own("", 20)], [("o", 10), ("", 20)]),
    ],
    ids=[
        "nobody assigned anything",
        "the site's",
        "its own before the site's, later ones too",
        "the site's again where its own has ended",
        "a group's where the site has none",
        "of several groups the one that began last",
        "of equal ones the group whose id comes first",
        "none after the end",
    ],
)
def test_a_device_has_the_tariff_that_is_nearest_to_it(
    given: list[TariffAssignment], changes: list[tuple[str, int]]
) -> None:
    """In whatever order they are told."""
    shuffled = random.Random(7).sample(given, len(given))

    found = effective_assignments("m-1", shuffled)

    assert [(one.tariff_id, one.start_ms) for one in found] == changes
    assert all(one.device_id == "m-1" for one in found)


SAID = [
    AssignmentVersion(own("right", 10), 1, 100),
    AssignmentVersion(own("wrong", 20), 1, 100),
    AssignmentVersion(own("mended", 20), 2, 200),
    AssignmentVersion(own("mended", 20), 3, 300, is_cancelled=True),
    AssignmentVersion(own("again", 20), 4, 400),
    AssignmentVersion(site("s", 20), 1, 100),
]


@pytest.mark.parametrize(
    ("as_of_ms", "from_20_on"),
    [(99, None), (100, "wrong"), (199, "wrong"), (200, "mended"), (300, None), (400, "again"), (None, "again")],
)
def test_what_was_said_last_counts_and_what_was_known_before_stays_known(
    as_of_ms: int | None, from_20_on: str | None
) -> None:
    """A cancelled assignment is as if it had never been; others are not touched; the order does not matter."""
    shuffled = random.Random(1).sample(SAID, len(SAID))
    found = counting(shuffled, as_of_ms)

    of_device = {one.start_ms: one.tariff_id for one in found if one.device_id}
    assert of_device.get(20) == from_20_on
    assert (of_device.get(10), site("s", 20) in found) == ((None, False) if as_of_ms == 99 else ("right", True))
    assert [one.start_ms for one in found] == sorted(one.start_ms for one in found)
