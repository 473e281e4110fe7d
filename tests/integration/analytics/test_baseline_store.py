"""What the power of devices usually is outlives a process, and goes with a partition from one replica to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from analytics.alerts.alert import AlertType
from analytics.alerts.alert_rule import AlertRule, AlertRules
from analytics.detection import baseline_store
from analytics.detection.baseline_keeper import BaselineKeeper
from analytics.detection.baseline_store import BaselineStore
from common.mongo import Database
from common.topology import partition_of
from tests.unit.analytics.watched import Desk, Device

PARTITIONS = 4


@dataclass
class Leases:
    """What a replica leases."""

    leased: set[int] = field(default_factory=set)
    partition_count: int = PARTITIONS


def keeper(desk: Desk, database: Database, *leased: int) -> BaselineKeeper:
    """A keeper of a replica."""
    return BaselineKeeper(desk.detector, BaselineStore(database), Leases(set(leased)), 30.0)


async def test_the_next_process_knows_what_is_usual(database: Database) -> None:
    """To the last digit, of every device."""
    before, after = Desk(), Desk()
    for name in ("meter-1", "meter-2"):
        before.usual(name)
    await keeper(before, database, *range(PARTITIONS)).save()

    await keeper(after, database).read()

    for name in ("meter-1", "meter-2"):
        rows = [desk.detector.row_of(name) for desk in (before, after)]
        kept, read = (desk.detector.baselines for desk in (before, after))
        assert read.mean_kw[rows[1]] == kept.mean_kw[rows[0]] != 0
        assert read.variance[rows[1]] == kept.variance[rows[0]] != 0
        assert read.count[rows[1]] == kept.count[rows[0]]
    after.clock_ms = before.clock_ms
    after.look([after.next("meter-1", power_kw=9.0)])
    assert after.take() == [("meter-1", "POWER_SPIKE", True)]


async def test_the_next_process_knows_the_voltage_of_the_week(database: Database) -> None:
    """So that a restart forgives nothing; what an earlier release kept knows of none."""
    before, after = Desk(), Desk()
    for _ in range(3):
        before.clock_ms += 600_000
        before.look([before.next("meter-1", voltage_v=200.0)])
    await keeper(before, database, *range(PARTITIONS)).save()

    await keeper(after, database).read()

    row, kept_row = after.detector.row_of("meter-1"), before.detector.row_of("meter-1")
    assert after.detector.weeks.outside_by_day[row] == before.detector.weeks.outside_by_day[kept_row] != 0

    await database["device_baselines"].update_many({}, {"$unset": {"voltage_weeks": ""}})
    without = Desk()
    await keeper(without, database).read()
    assert without.detector.weeks.outside_by_day[without.detector.row_of("meter-1")] == 0


async def test_the_next_process_knows_what_the_hours_of_a_day_usually_are(database: Database) -> None:
    """Where a rule asks for it; where none does nothing of it is written."""
    rules = AlertRules([AlertRule("on", AlertType.CONSUMPTION_HIGH, {}, is_enabled=True)])
    before, after, without = Desk(), Desk(), Desk()
    without.usual(count=130)
    await keeper(without, database, *range(PARTITIONS)).save()
    assert await database["device_baselines"].count_documents({"consumption": {"$exists": True}}) == 0
    await before.detector.use_rules(rules)
    before.usual(count=130)
    await keeper(before, database, *range(PARTITIONS)).save()

    await keeper(after, database).read()

    rows = [np.array([desk.detector.row_of("meter-1")]) for desk in (before, after)]
    kept, read = before.detector.consumption.taken(rows[0]), after.detector.consumption.taken(rows[1])
    assert kept is not None
    assert read is not None
    assert kept.learnt_days.sum() == 1
    assert (read.mean_kwh == kept.mean_kwh).all()
    assert (read.learnt_days == kept.learnt_days).all()
    assert read.hour_kwh[0] == kept.hour_kwh[0] > 0


async def test_a_replica_writes_only_what_it_leases(database: Database) -> None:
    """So that it does not put old knowledge in place of another's new."""
    mine, theirs = Desk(), Desk()
    mine.usual(power_kw=2.0)
    theirs.usual(power_kw=7.0)
    partition = partition_of("meter-1", PARTITIONS)
    await keeper(theirs, database, partition).save()
    await keeper(mine, database, *set(range(PARTITIONS)) - {partition}).save()

    after = Desk()
    await keeper(after, database).read()

    assert after.detector.baselines.mean_kw[0] == pytest.approx(7.1, abs=0.1)


async def test_many_devices_are_kept_in_pieces(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of which is too large."""
    monkeypatch.setattr(baseline_store, "PIECE_DEVICES", 3)
    before, after = Desk(), Desk()
    names = [f"meter-{number}" for number in range(1, 11)]
    for desk in (before, after):
        desk.devices.update({name: Device(name) for name in names})
    for name in names:
        before.usual(name, count=3)
    await keeper(before, database, *range(PARTITIONS)).save()

    await keeper(after, database).read()

    assert await database["device_baselines"].count_documents({}) > len(names) // 3
    assert sorted(after.detector.device_ids()) == sorted(names)
