"""Rules are data: the more particular goes before, threshold by threshold; silences leave people in peace."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from analytics.alerts.alert import AlertType, Cause
from analytics.alerts.alert_catalogue import OFF_BY_DEFAULT, THRESHOLDS, threshold_of
from analytics.alerts.alert_rule import DEFAULT_PROFILE, AlertRule, AlertRules
from analytics.alerts.alert_silence import AlertSilence, Silenceable, silence_of

HOT = AlertType.OVER_TEMPERATURE
NOW_MS = 1_750_000_000_000
HOT_PACK = Silenceable(Cause(HOT, "North", "d-1"), "acc", ("lfp",))


def device(**fields: Any) -> Any:
    """A device in the north."""
    return SimpleNamespace(
        **{
            "device_id": "d-1",
            "region": "North",
            "account_id": "acc",
            "group_ids": ("lfp",),
            "is_active": True,
            **fields,
        }
    )


def rule(rule_id: str, celsius: float | None = None, **fields: Any) -> AlertRule:
    """A rule about temperature."""
    return AlertRule(rule_id, HOT, {} if celsius is None else {"medium_celsius": celsius}, **fields)


def test_without_rules_the_defaults_hold() -> None:
    """Those that the catalogue names."""
    profile = AlertRules().profile_of(device())

    assert profile.value(HOT, "medium_celsius") == 45
    assert {one for one in AlertType if not profile.raises(one)} == OFF_BY_DEFAULT


def test_every_default_lies_within_its_limits_and_every_type_has_a_hold() -> None:
    """No rule could otherwise restate what holds."""
    assert all(one.minimum <= one.default <= one.maximum for one in THRESHOLDS)
    assert all(threshold_of(one, "hold_seconds") for one in AlertType)
    assert len({(one.type, one.name) for one in THRESHOLDS}) == len(THRESHOLDS)


@pytest.mark.parametrize(
    ("rules", "celsius"),
    [
        ([rule("all", 40)], 40),
        ([rule("all", 40), rule("region", 41, region="North")], 41),
        ([rule("region", 41, region="North"), rule("account", 42, account_id="acc")], 42),
        ([rule("account", 42, account_id="acc"), rule("group", 43, group_id="lfp")], 43),
        ([rule("group", 43, group_id="lfp"), rule("device", 44, device_id="d-1")], 44),
        (
            [
                rule("device", 44, device_id="d-2"),
                rule("group", 43, group_id="nmc"),
                rule("region", 41, region="South"),
            ],
            45,
        ),
    ],
    ids=["all", "region", "account", "group", "device", "others"],
)
def test_the_more_particular_rule_goes_before(rules: list[AlertRule], celsius: float) -> None:
    """In whatever order they were written."""
    for order in (rules, rules[::-1]):
        assert AlertRules(order).profile_of(device()).value(HOT, "medium_celsius") == celsius


def test_a_rule_leaves_alone_what_it_does_not_name() -> None:
    """The others come from less particular rules and the defaults."""
    profile = AlertRules([rule("all", 40), AlertRule("d", HOT, {"high_celsius": 49}, device_id="d-1")]).profile_of(
        device()
    )

    values = [profile.value(HOT, f"{name}_celsius") for name in ("medium", "high", "critical")]
    assert values == [40, 49, 55]


def test_a_rule_can_switch_a_type_off_and_a_more_particular_one_on_again() -> None:
    """For the devices that each is about."""
    rules = AlertRules([rule("off", is_enabled=False), rule("on", is_enabled=True, device_id="d-1")])

    assert (rules.profile_of(device()).raises(HOT), rules.profile_of(device(device_id="d-2")).raises(HOT)) == (
        True,
        False,
    )
    assert rules.profile_of(device(device_id="d-2")).raises(AlertType.STORAGE_FAULT)


def test_a_rule_that_sets_only_a_threshold_leaves_a_type_switched_off() -> None:
    """Whether it is raised is left to the less particular rules, as every threshold is that it does not name."""
    rules = AlertRules([rule("off", is_enabled=False), rule("warm", 40, device_id="d-1")])
    profile = rules.profile_of(device())

    assert (profile.raises(HOT), profile.value(HOT, "medium_celsius")) == (False, 40)


@pytest.mark.parametrize("seed", range(5))
def test_what_holds_for_a_device_is_what_every_rule_in_turn_comes_to(seed: int) -> None:
    """However many there are, and of whatever scope; and no threshold is under the least of it."""
    chance = random.Random(seed)
    scopes = {"region": ["North", "South", ""], "account_id": ["acc", "b", ""], "group_id": ["lfp", "nmc", ""]}
    scopes["device_id"] = ["d-1", "d-2", "", ""]
    written = [
        rule(
            f"r-{number}",
            float(chance.randint(0, 90)),
            is_enabled=chance.choice([True, False, None]),
            **{name: chance.choice(values) for name, values in scopes.items()},
        )
        for number in range(200)
    ]
    rules = AlertRules(written)
    for one in (device(), device(device_id="d-2", group_ids=("nmc", "lfp")), device(region="South", account_id="b")):
        celsius, is_raised = 45.0, True
        for other in sorted(written, key=lambda rule: rule.rank):
            if other.holds_for(one):
                celsius = other.thresholds["medium_celsius"]
                is_raised = is_raised if other.is_enabled is None else other.is_enabled
        profile = rules.profile_of(one)
        assert (profile.value(HOT, "medium_celsius"), profile.raises(HOT)) == (celsius, is_raised)
        assert rules.least(HOT, "medium_celsius") <= celsius
    assert rules.least(HOT, "high_celsius") == 50


def test_nothing_is_raised_of_a_device_that_is_serviced_or_out_of_operation() -> None:
    """Whatever rules say."""
    profile = AlertRules([rule("on", device_id="d-1")]).profile_of(device(is_active=False))

    assert not any(profile.raises(one) for one in AlertType)


def test_a_rule_about_devices_says_nothing_about_a_region_as_a_whole() -> None:
    """Only those that are about all or about the region do."""
    overload = AlertType.REGION_OVERLOAD
    rules = AlertRules(
        [
            AlertRule("north", overload, {"raise_percent": 80}, region="North"),
            AlertRule("group", overload, {"raise_percent": 70}, group_id="lfp"),
        ]
    )

    assert rules.profile_of_region("North").value(overload, "raise_percent") == 80
    assert rules.profile_of_region("South") == DEFAULT_PROFILE


def test_a_threshold_that_this_release_does_not_know_is_passed_over() -> None:
    """A newer one may have written it."""
    assert AlertRules([AlertRule("x", HOT, {"new_kelvin": 1})]).profile_of(device()) == DEFAULT_PROFILE


@pytest.mark.parametrize(
    ("fields", "covers"),
    [
        ({}, True),
        ({"type": HOT}, True),
        ({"type": AlertType.POWER_DROP}, False),
        ({"region": "South"}, False),
        ({"account_id": "other"}, False),
        ({"device_id": "d-1", "region": "North"}, True),
        ({"group_id": "lfp", "region": "North"}, True),
        ({"group_id": "nmc"}, False),
        ({"end_ms": NOW_MS}, False),
        ({"start_ms": NOW_MS + 1}, False),
    ],
)
def test_a_silence_covers_what_it_names_while_it_lasts(fields: dict[str, Any], covers: bool) -> None:
    """Its end is exclusive."""
    silence = AlertSilence(
        **{"silence_id": "s", "start_ms": NOW_MS, "end_ms": NOW_MS + 1, "actor": "jo", "reason": "x", **fields}
    )

    assert silence_of([silence], HOT_PACK, NOW_MS) == ("s" if covers else "")


def test_of_several_silences_the_one_that_covered_before_does_while_it_lasts() -> None:
    """And then the one that lasts longest."""
    silences = [AlertSilence(name, NOW_MS, NOW_MS + last, "jo", "x") for name, last in (("a", 1), ("b", 3), ("c", 2))]

    assert silence_of(silences, HOT_PACK, NOW_MS) == "b"
    assert silence_of(silences, HOT_PACK, NOW_MS, before="a") == "a"
    assert silence_of(silences, HOT_PACK, NOW_MS + 1, before="a") == "b"
    assert silence_of(silences, HOT_PACK, NOW_MS + 3, before="b") == ""
