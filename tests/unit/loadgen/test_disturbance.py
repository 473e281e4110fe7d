"""What goes wrong on the way, and that it is counted to the last reading."""

import math
from collections import Counter

import pytest
from energy.common.v1 import error_reason_pb2 as reasons
from energy.telemetry.v1.reading_pb2 import Reading

from common.instants import to_ms
from loadgen.disturbance import Disturbance, DisturbanceShares
from loadgen.fleet import Fleet, FleetSpec
from loadgen.malformed import FAULTS, MalformedReading

START_MS = 1_759_257_000_000
NOW_MS = START_MS + 86_400_000
FLEET = Fleet(FleetSpec(meters=20, vehicles=5, packs=2, seed=2))
STEPS = list(FLEET.readings(START_MS, START_MS + 100 * 60_000))
GOOD = [reading.SerializeToString() for step in STEPS for reading in step]
SHARES = DisturbanceShares(duplicates=0.05, late=0.1, malformed=0.04)


def disturbed(shares: DisturbanceShares) -> tuple[Disturbance, list[list[Reading]], list[MalformedReading]]:
    """The disturbance, the steps that it sends and what is malformed in them."""
    malformed: list[MalformedReading] = []
    disturbance = Disturbance(shares, seed=4, now_ms=lambda: NOW_MS, on_malformed=malformed.append)
    return disturbance, list(disturbance.apply(STEPS)), malformed


def test_without_shares_nothing_is_disturbed() -> None:
    """All shares zero: the very same steps."""
    disturbance, steps, _ = disturbed(DisturbanceShares())

    assert steps == STEPS
    assert disturbance.counts.good == disturbance.counts.sent == len(GOOD)


def test_every_good_reading_is_sent_and_what_comes_on_top_is_counted() -> None:
    """Nothing is lost by the disturbance: good ones once, duplicates twice, malformed ones besides."""
    disturbance, steps, malformed = disturbed(SHARES)
    counts = disturbance.counts

    sent = Counter(reading.SerializeToString() for step in steps for reading in step)
    sent.subtract(each.reading.SerializeToString() for each in malformed)
    twice = Counter(sent.values())

    assert set(+sent) == set(GOOD)
    assert twice[2] == counts.duplicates > 0
    assert counts.late > 0 < counts.malformed == len(malformed)
    assert counts.sent == sum(map(len, steps)) == len(GOOD) + counts.duplicates + counts.malformed


@pytest.mark.parametrize("name", ["duplicates", "late", "malformed"])
def test_shares_are_met(name: str) -> None:
    """A share of a tenth disturbs about a tenth of the readings."""
    disturbance, _, _ = disturbed(DisturbanceShares(**{name: 0.1}))

    assert 0.08 < getattr(disturbance.counts, name) / len(GOOD) < 0.12


def test_a_duplicate_comes_later_and_byte_equal() -> None:
    """The second copy of a reading is never in the first one's step."""
    _, steps, _ = disturbed(DisturbanceShares(duplicates=0.2))

    first_seen: dict[bytes, int] = {}
    delays = []
    for number, step in enumerate(steps):
        for reading in step:
            key = reading.SerializeToString()
            if key in first_seen:
                delays.append(number - first_seen[key])
            first_seen.setdefault(key, number)

    assert min(delays) == 1
    assert max(delays) == 5


def test_a_late_reading_is_held_back_some_steps_and_still_sent() -> None:
    """Late readings leave their own step and come in one of the next five, the last ones after the end."""
    disturbance, steps, _ = disturbed(DisturbanceShares(late=1.0))

    delays = [
        number - (to_ms(reading.start_time) - START_MS) // 60_000
        for number, step in enumerate(steps)
        for reading in step
    ]

    assert len(delays) == len(GOOD) == disturbance.counts.late
    assert set(delays) == {1, 2, 3, 4, 5}
    assert len(steps) == len(STEPS) + 5


def test_malformed_readings_cycle_through_the_faults_with_their_reasons() -> None:
    """Six ways to be refused, each with the reason that its verdict has to give."""
    disturbance, _, malformed = disturbed(DisturbanceShares(malformed=1.0))

    due = Counter(each.reason for each in malformed)

    assert due == disturbance.counts.refusals_due
    assert set(due) == {
        reasons.ERROR_REASON_OUT_OF_RANGE,
        reasons.ERROR_REASON_TOO_FAR_AHEAD,
        reasons.ERROR_REASON_DEVICE_NOT_FOUND,
        reasons.ERROR_REASON_KIND_MISMATCH,
    }
    assert min(due.values()) > len(malformed) / (len(FAULTS) + 2)


def test_each_fault_breaks_one_rule() -> None:
    """What exactly is wrong with each malformed reading."""
    vehicle = next(each for each in STEPS[0] if each.WhichOneof("measurement") == "vehicle")

    nan, negative, charge, ahead, unknown, kind = (fault(vehicle, NOW_MS) for fault in FAULTS)

    assert nan is not None
    assert math.isnan(nan.reading.vehicle.energy_delivered_kwh)
    assert negative is not None
    assert negative.reading.vehicle.energy_delivered_kwh < 0
    assert charge is not None
    assert charge.reading.vehicle.state_of_charge_percent == 150
    assert ahead is not None
    assert to_ms(ahead.reading.start_time) == NOW_MS + 600_000
    assert unknown is not None
    assert unknown.reading.device_id not in {each.device_id for each in FLEET.devices()}
    assert kind is not None
    assert kind.reading.WhichOneof("measurement") == "meter"


def test_a_meter_is_spared_the_fault_that_it_cannot_have() -> None:
    """A meter has no state of charge; its malformed readings take the next fault in turn."""
    meters = [[reading for reading in step if reading.WhichOneof("measurement") == "meter"] for step in STEPS[:5]]
    disturbance = Disturbance(DisturbanceShares(malformed=1.0), seed=1, now_ms=lambda: NOW_MS)

    sent = [reading for step in disturbance.apply(meters) for reading in step]

    assert len(sent) == 2 * sum(map(len, meters))
    assert disturbance.counts.refusals_due[reasons.ERROR_REASON_KIND_MISMATCH] > 0


def test_the_same_seed_disturbs_in_the_same_way() -> None:
    """A run with disturbances can be had again."""
    _, once, _ = disturbed(SHARES)
    _, again, _ = disturbed(SHARES)

    def encoded(steps: list[list[Reading]]) -> list[list[bytes]]:
        return [[reading.SerializeToString() for reading in step] for step in steps]

    assert encoded(once) == encoded(again)


@pytest.mark.parametrize(
    ("shares", "named"),
    [({"late": -0.1}, "late"), ({"duplicates": 1.1}, "duplicates"), ({"late": 0.6, "malformed": 0.6}, "together")],
)
def test_a_share_out_of_range_is_named(shares: dict[str, float], named: str) -> None:
    """Shares are shares."""
    with pytest.raises(ValueError, match=named):
        DisturbanceShares(**shares)
