"""Who has a tariff at a moment: by a device's own assignment, its site's or a group's."""

from billing.tariffs.tariff_assignment import TariffAssignment, scopes_of
from billing.tariffs.tariff_holders import holders


def test_a_device_has_one_tariff_and_an_account_counts_once() -> None:
    """Its own before that of the site before that of a group; where its own has ended, that of the site again."""
    latest = {
        one.scope: one
        for one in (
            TariffAssignment("own", "a", 5),
            TariffAssignment("ended", "", 5),
            TariffAssignment("", "b", 1, site_id="depot"),
            TariffAssignment("", "c", 9, group_id="homes"),
        )
    }
    devices = [
        ("own", "acc-1", scopes_of("own", "depot", ["homes"])),
        ("ended", "acc-1", scopes_of("ended", "depot", ["homes"])),
        ("at-site", "acc-1", scopes_of("at-site", "depot", [])),
        ("in-group", "acc-2", scopes_of("in-group", "", ["homes", "others"])),
        ("without", "acc-3", scopes_of("without", "", ["others"])),
    ]

    found = holders(devices, latest)

    assert {tariff_id: (one.device_count, one.account_ids) for tariff_id, one in found.items()} == {
        "a": (1, {"acc-1"}),
        "b": (2, {"acc-1"}),
        "c": (1, {"acc-2"}),
    }
