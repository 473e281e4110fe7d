"""The load of one round: devices that send a reading a simulated minute, and now and then one again or corrected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from energy.registry.v1.device_pb2 import Device
from energy.telemetry.v1.reading_pb2 import Reading
from google.protobuf.duration_pb2 import Duration

from tests.faults.journal import Identity, Journal
from tests.faults.measurement import INTERVAL_MS, kind_of, reading_of

TIME_ZONE = "Asia/Kolkata"
REGION = "Pune-East"
# Midnight in that zone, of the day before the first one.
FIRST_DAY = datetime(2026, 3, 9, 18, 30, tzinfo=UTC)

_MOST_MILLIWATT_HOURS = 3_000_000
# Vehicles, and grid batteries, for so many meters.
_OTHERS_APART = 12
_LONGEST_DELAY_STEPS = 40


def region_of(device_id: str) -> str:
    """The region of a device: each round has one of its own, so that its windows hold nothing else."""
    return f"{REGION}-{device_id.rpartition('-')[0]}"


@dataclass(frozen=True, slots=True)
class Shares:
    """How many of a hundred readings are sent twice, and how many corrected later."""

    duplicates_percent: float = 1.0
    corrections_percent: float = 1.0


class Traffic:
    """Readings of some meters, vehicles and batteries, without an end, each written into the journal.

    The same seed gives the same. One device of each kind is so small that it sends its readings one by one.
    """

    def __init__(self, prefix: str, *, meters: int, seed: str, journal: Journal, shares: Shares = Shares()) -> None:
        self.meter_ids = [f"{prefix}-{number:02d}" for number in range(meters)]
        others = range(-(-meters // _OTHERS_APART))
        self.device_ids = [*self.meter_ids, *(f"{prefix}-{letter}{number}" for letter in "vs" for number in others)]
        self.unary_ids = [self.meter_ids[0], f"{prefix}-v0", f"{prefix}-s0"]
        self.region = region_of(self.device_ids[0])
        self.steps_count = 0
        """Minutes that were sent."""
        self._random = Random(seed)
        self._journal = journal
        self._shares = shares

    def devices(self) -> list[Device]:
        """The devices, to be registered."""
        return [
            Device(
                device_id=device_id,
                kind=kind_of(device_id),
                account_id=f"account-{device_id}",
                region=self.region,
                time_zone=TIME_ZONE,
                expected_interval=Duration(seconds=INTERVAL_MS // 1000),
            )
            for device_id in self.device_ids
        ]

    def steps(self) -> Iterator[list[Reading]]:
        """What is sent together: a minute of every device, and what comes again or corrected from minutes before."""
        later: dict[int, list[Identity]] = {}
        first_ms = int(FIRST_DAY.timestamp() * 1000)
        while True:
            step = self.steps_count
            self.steps_count += 1
            fresh = [Identity(device_id, first_ms + step * INTERVAL_MS, 0) for device_id in self.device_ids]
            for identity in fresh:
                self._journal.write(identity, self._random.randrange(_MOST_MILLIWATT_HOURS))
                self._plan_more(identity, step, later)
            again = later.pop(step, [])
            for identity in again:
                if identity not in self._journal.sent:
                    self._journal.write(identity, self._random.randrange(_MOST_MILLIWATT_HOURS))
            yield [reading_of(identity, self._journal.sent[identity]) for identity in [*fresh, *again]]

    def days(self) -> tuple[datetime, datetime]:
        """The local midnights, in UTC, around all that was sent; the last one exclusive."""
        count = max(1, -(-self.steps_count * INTERVAL_MS // 86_400_000))
        return FIRST_DAY, FIRST_DAY + timedelta(days=count)

    def _plan_more(self, identity: Identity, step: int, later: dict[int, list[Identity]]) -> None:
        lot = self._random.uniform(0, 100)
        if lot >= self._shares.duplicates_percent + self._shares.corrections_percent:
            return
        is_duplicate = lot < self._shares.duplicates_percent
        at = step + self._random.randint(1, _LONGEST_DELAY_STEPS)
        later.setdefault(at, []).append(identity if is_duplicate else identity._replace(revision=1))
