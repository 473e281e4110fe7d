"""The energy of a meter that sends its register only: exact where the register is known at both ends, else unknown."""

import random
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from billing.cold.span import Span
from billing.log.kind_columns import LoggedReading
from billing.log.observation import Observation, SpanKey, Value
from billing.log.reading_quality import ReadingQuality
from billing.log.schema import METER
from billing.metering.meter_facts import MeterFacts
from billing.metering.register import MeterExchange
from billing.metering.register_energy import KnownReading, energy_by_register, readings_with_rivals

START_MS = 1_767_225_600_000
QUARTER_MS = 900_000
KWH = 1_000_000
METER_OF_FIVE_DIGITS = MeterFacts("m-1", QUARTER_MS, "UTC", 100.0, 5)
ENERGY = METER.position("import_milliwatt_hours")
REGISTER = METER.position("import_register_milliwatt_hours")


def reading(place: int, register_kwh: int | None, *, energy_kwh: int | None = None, revision: int = 0) -> LoggedReading:
    """What a meter sends for the quarter-hour at this place."""
    values: list[Value] = [None] * len(METER.columns)
    values[REGISTER] = None if register_kwh is None else register_kwh * KWH
    values[ENERGY] = None if energy_kwh is None else energy_kwh * KWH
    at_ms = START_MS + place * QUARTER_MS
    return LoggedReading("meter", "m-1", at_ms, QUARTER_MS, revision, at_ms + QUARTER_MS, tuple(values))


class Record:
    """What is on record of one meter: folded as the merger folds."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.spans: dict[int, Span] = {}

    def take(self, readings: Iterable[LoggedReading]) -> None:
        """Folds readings."""
        for one in readings:
            offset_ms = one.start_ms % METER.span_ms
            observation = Observation(
                offset_ms, one.revision, one.interval_ms, one.receive_ms, 0, one.values, one.quality
            )
            self.spans.setdefault(one.start_ms - offset_ms, Span()).fold([observation])

    def known(self) -> list[KnownReading]:
        """Every reading that counts, with those it stands above."""
        return [
            one
            for span_start_ms in sorted(self.spans)
            for one in readings_with_rivals(
                SpanKey("meter", "m-1", span_start_ms), self.spans[span_start_ms], 0, START_MS * 2
            )
        ]

    def settle(self, meter: MeterFacts = METER_OF_FIVE_DIGITS) -> int:
        """Puts on record what follows from the registers, until nothing new does; returns how much that was."""
        count = 0
        while made := energy_by_register(meter, self.known(), START_MS):
            self.take(made)
            count += len(made)
        return count

    def energies_kwh(self) -> dict[int, float | None]:
        """The import that counts, by the place of the quarter-hour."""
        return {
            (one.start_ms - START_MS) // QUARTER_MS: None if energy is None else energy / KWH
            for one in self.known()
            for energy in [one.counting.values[ENERGY]]
        }


def record_of(*readings: LoggedReading) -> Record:
    """A record of these readings and what follows from them."""
    record = Record()
    record.take(readings)
    record.settle()
    return record


def test_an_interval_has_the_energy_by_which_its_register_rose() -> None:
    """1 000, 1 003, 1 003, 1 010 kWh at the ends: 3, 0 and 7 kWh; of the first nothing can be said."""
    record = record_of(reading(0, 1_000), reading(1, 1_003), reading(2, 1_003), reading(3, 1_010))

    assert record.energies_kwh() == {0: None, 1: 3, 2: 0, 3: 7}
    assert {one.counting.quality for one in record.known()[1:]} == {ReadingQuality.REGISTER_DIFFERENCE}
    assert record.known()[1].counting.values[REGISTER] == 1_003 * KWH


def test_energy_that_the_device_sent_is_left_as_it_is() -> None:
    """The intervals are what is billed; whether a register beside them agrees is for the sum check to say."""
    record = Record()
    record.take([reading(0, 1_000), reading(1, 1_003, energy_kwh=2)])

    assert record.settle() == 0


def test_what_was_used_over_a_missing_read_is_spread_evenly_and_told_as_estimated() -> None:
    """7 kWh in half an hour are 3.5 in each quarter, the one that never came among them."""
    record = record_of(reading(0, 1_000), reading(2, 1_007), reading(3, 1_008))

    assert record.energies_kwh() == {0: None, 1: 3.5, 2: 3.5, 3: 1}
    assert [one.counting.quality for one in record.known()] == [
        ReadingQuality.MEASURED,
        ReadingQuality.REGISTER_SHARE,
        ReadingQuality.REGISTER_SHARE,
        ReadingQuality.REGISTER_DIFFERENCE,
    ]
    assert record.known()[1].counting.revision < 0


def test_energy_that_was_sent_between_two_reads_counts_before_the_rest_is_spread() -> None:
    """Of 9 kWh in three quarters of an hour 2 are known: 3.5 are left for each of the others."""
    record = record_of(reading(0, 1_000), reading(1, None, energy_kwh=2), reading(2, None), reading(3, 1_009))

    assert record.energies_kwh() == {0: None, 1: 2, 2: 3.5, 3: 3.5}


def test_a_register_that_stood_still_makes_no_estimate_of_what_was_measured() -> None:
    """Export is read once an hour and is nothing: the import beside it was measured and stays so."""
    export = METER.position("export_register_milliwatt_hours")
    sent = [reading(place, None, energy_kwh=2) for place in range(8)]
    with_export = [
        one._replace(values=(*one.values[:export], 7 * KWH, *one.values[export + 1 :])) if place % 4 == 3 else one
        for place, one in enumerate(sent)
    ]
    record = record_of(*with_export)

    assert {one.counting.quality for one in record.known()[:7]} == {ReadingQuality.MEASURED}
    assert record.known()[7].counting.quality == ReadingQuality.REGISTER_DIFFERENCE
    assert record.energies_kwh() == dict.fromkeys(range(8), 2)


def test_another_shape_of_the_same_sum_is_left_as_it_is() -> None:
    """Like days know better when it was used, as long as together it is what the register says."""
    record = record_of(reading(0, 1_000), reading(3, 1_009))
    shaped = [
        reading(place, None, energy_kwh=energy_kwh)._replace(revision=-5, quality=int(ReadingQuality.REFERENCE_DAYS))
        for place, energy_kwh in ((1, 5), (2, 1))
    ]

    record.take(shaped)

    assert record.settle() == 0
    assert record.energies_kwh() == {0: None, 1: 5, 2: 1, 3: 3}


def test_a_share_is_taken_back_when_its_register_turns_out_to_have_fallen() -> None:
    """What was used is unknown then, also in the quarter-hour that never came."""
    record = record_of(reading(0, 1_000), reading(2, 1_007))

    record.take([reading(2, 4, revision=1)])
    record.settle()

    assert record.energies_kwh() == {0: None, 1: None, 2: None}


@given(
    st.lists(st.integers(0, 6), min_size=3, max_size=12), st.sets(st.integers(1, 10)), st.randoms(use_true_random=False)
)
def test_whatever_reads_are_missing_the_sum_is_what_the_register_went_on(
    steps_kwh: list[int], lost: set[int], random_: random.Random
) -> None:
    """From the first read to the last, in whatever order the others come."""
    registers = [1_000 + sum(steps_kwh[: place + 1]) for place in range(len(steps_kwh))]
    lost &= set(range(len(steps_kwh) - 1))
    sent = [reading(place, register) for place, register in enumerate(registers) if place not in lost]
    random_.shuffle(sent)
    record = Record()
    for one in sent:
        record.take([one])
        record.settle()

    energies = record.energies_kwh()
    assert sum(round((energy or 0) * KWH) for energy in energies.values()) == (registers[-1] - registers[0]) * KWH
    assert energies.keys() == set(range(len(steps_kwh)))
    assert record.settle() == 0


def test_a_missing_read_that_comes_late_tells_both_intervals_beside_it() -> None:
    """What was unknown is known then."""
    record = record_of(reading(0, 1_000), reading(2, 1_007))

    record.take([reading(1, 1_003)])
    record.settle()

    assert record.energies_kwh() == {0: None, 1: 3, 2: 4}


def test_a_corrected_read_changes_both_intervals_beside_it_there_and_back() -> None:
    """A correction of a register, and its correction, leave what the registers say in the end."""
    record = record_of(reading(0, 1_000), reading(1, 1_003), reading(2, 1_010))

    record.take([reading(1, 1_005, revision=1)])
    record.settle()
    assert record.energies_kwh() == {0: None, 1: 5, 2: 5}

    record.take([reading(1, 1_003, revision=2)])
    record.settle()
    assert record.energies_kwh() == {0: None, 1: 3, 2: 7}


def test_the_devices_own_correction_with_energy_takes_the_place_of_what_followed() -> None:
    """It knows better than its register."""
    record = record_of(reading(0, 1_000), reading(1, 1_003))

    record.take([reading(1, 1_003, energy_kwh=2, revision=1)])

    assert record.settle() == 0
    assert record.energies_kwh() == {0: None, 1: 2}


def test_a_register_that_fell_gives_no_energy_and_takes_back_what_it_gave() -> None:
    """A reset is unknown usage, never negative and never huge."""
    record = record_of(reading(0, 1_000), reading(1, 1_003))

    record.take([reading(1, 4, revision=0)._replace(receive_ms=START_MS)])
    record.settle()

    assert record.energies_kwh() == {0: None, 1: None}


def test_a_rollover_and_an_exchange_are_followed() -> None:
    """99 999 to 2 kWh of five digits is 3 kWh; 1 000 to 1 004 on the old meter and 0 to 2 on the new one are 6."""
    rolled = record_of(reading(0, 99_999), reading(1, 2))
    exchange = MeterExchange(START_MS + QUARTER_MS + QUARTER_MS // 2, 1_004 * KWH, 0)
    exchanged = Record()
    exchanged.take([reading(0, 1_000), reading(1, 2)])
    exchanged.settle(replace(METER_OF_FIVE_DIGITS, exchanges={"import": [exchange]}))

    assert rolled.energies_kwh() == {0: None, 1: 3}
    assert exchanged.energies_kwh() == {0: None, 1: 6}


@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=9), st.randoms(use_true_random=False), st.sets(st.integers(0, 8))
)
def test_the_order_of_arrival_never_changes_the_energy(
    steps_kwh: list[int], random_: random.Random, looks: set[int]
) -> None:
    """Late, doubled and looked at in between at any time: the same energy as if all had come in order."""
    registers = [1_000 + sum(steps_kwh[: place + 1]) for place in range(len(steps_kwh))]
    sent = [reading(place, register) for place, register in enumerate(registers)]
    clean = record_of(*sent)
    arriving = [*sent, *random_.sample(sent, len(sent) // 2)]
    random_.shuffle(arriving)
    record = Record()
    for place, one in enumerate(arriving):
        record.take([one])
        if place in looks:
            record.settle()
    record.settle()

    assert record.energies_kwh() == clean.energies_kwh() == dict(enumerate([None, *steps_kwh[1:]]))
    assert record.settle() == 0
