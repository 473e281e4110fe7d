"""The load of a round is repeatable and holds what makes counting hard: duplicates and corrections."""

from __future__ import annotations

from itertools import islice

from energy.common.v1.error_reason_pb2 import ERROR_REASON_OUT_OF_RANGE
from energy.telemetry.v1.reading_pb2 import Reading
from energy.telemetry.v1.verdict_pb2 import Verdict

from common.energy import milliwatt_hours
from loadgen.acked_frame import AckedFrame
from tests.faults.journal import Journal, identity_of
from tests.faults.measurement import drawn_of
from tests.faults.traffic import Shares, Traffic


def sent(seed: str, steps: int = 300) -> tuple[Traffic, Journal, list[Reading]]:
    """The first steps of some traffic, and its books."""
    journal = Journal()
    traffic = Traffic("t", meters=4, seed=seed, journal=journal, shares=Shares(2, 2))
    return traffic, journal, [reading for step in islice(traffic.steps(), steps) for reading in step]


def test_the_same_seed_sends_the_same() -> None:
    """So that a round that failed can be played again."""
    assert sent("a")[2] == sent("a")[2]
    assert sent("a")[2] != sent("b")[2]


def test_every_minute_of_every_device_is_sent_and_some_again_or_corrected() -> None:
    """A duplicate is the very same reading; a correction comes later with a higher revision and a value of its own."""
    _, journal, readings = sent("a")
    identities = [identity_of(reading) for reading in readings]

    assert len({identity for identity in identities if identity.revision == 0}) == 6 * 300
    assert len(identities) > len(set(identities)) == len(journal.sent)
    corrections = [identity for identity in journal.sent if identity.revision == 1]
    assert corrections
    for correction in corrections:
        assert identities.index(correction) > identities.index(correction._replace(revision=0))


def test_what_is_sent_is_what_the_journal_says() -> None:
    """Rounded as the mesh rounds, what a device takes and gives is the whole number that was drawn."""
    _, journal, readings = sent("a")

    assert {each.WhichOneof("measurement") for each in readings} == {"meter", "vehicle", "storage"}
    for each in readings:
        energies = {
            "meter": (each.meter.import_kwh, each.meter.export_kwh),
            "vehicle": (each.vehicle.energy_delivered_kwh,),
            "storage": (each.storage.charge_kwh, each.storage.discharge_kwh),
        }[each.WhichOneof("measurement") or ""]
        assert sum(map(milliwatt_hours, energies)) == journal.sent[identity_of(each)] == drawn_of(each)


def test_meters_vehicles_and_batteries_send_in_one_region() -> None:
    """One of each kind sends its readings one by one."""
    traffic, _, readings = sent("a", 1)
    kinds = {reading.device_id: reading.WhichOneof("measurement") for reading in readings}

    assert kinds == {**dict.fromkeys(traffic.meter_ids, "meter"), "t-v0": "vehicle", "t-s0": "storage"}
    assert [kinds[device_id] for device_id in traffic.unary_ids] == ["meter", "vehicle", "storage"]
    assert {device.region for device in traffic.devices()} == {traffic.region}


def test_the_days_cover_all_that_was_sent() -> None:
    """1 440 minutes are one day, one more makes two."""
    assert [(end - start).days for start, end in (sent("a", steps)[0].days() for steps in (1, 1440, 1441))] == [1, 1, 2]


def test_the_journal_takes_acks_and_notes_refusals() -> None:
    """A refused reading of an acked frame is not acked."""
    _, journal, readings = sent("a", 1)
    verdict = Verdict(sequence=1, index=1, reason=ERROR_REASON_OUT_OF_RANGE)

    journal.take(AckedFrame(readings=readings, verdicts=[verdict], ack_time_ms=0, latency_ms=0, write_count=1))

    assert len(journal.acked) == len(readings) - 1
    assert identity_of(readings[1]) not in journal.acked
    assert journal.refused == {"OUT_OF_RANGE": 1}
