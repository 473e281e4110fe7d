"""Real files go through batches, log and cold documents, and come out as they went in, to the milliwatt-hour."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from energy.ingestion.v1.reading_batch_pb2 import Part, ReadingBatch
from energy.telemetry.v1.reading_pb2 import Reading

from billing.cold.reading_codec import to_reading as read_back
from billing.cold.span import readings_of
from billing.log.batch_codec import BatchDecoder
from billing.log.schema import METER
from common.energy import milliwatt_hours
from common.instants import duration_to_ms, from_ms, to_ms
from common.mongo import Database
from loadgen.files import open_file, to_reading
from tests.integration.billing.readme_pipeline import verify_by_shell
from tests.integration.billing.store import PARTITION, store_on
from tests.unit.loadgen.test_files_samples import green_button_milliwatt_hours, household_milliwatt_hours, rounded

RECEIVE_MS = 1_780_000_000_000
READINGS_PER_BATCH = 97


def disturbed_batches(readings: list[Reading], reach: int = 10_000) -> list[bytes]:
    """Batches as ingestion publishes them, each reading up to `reach` places late, every seventh of them twice."""
    random_ = random.Random(3)
    places = [*range(len(readings)), *range(0, len(readings), 7)]
    sent = [readings[place] for place in sorted(places, key=lambda place: place + random_.uniform(0, reach))]
    return [
        ReadingBatch(
            batch_id=f"b-{first}",
            partition=PARTITION,
            writer="w",
            sequence=first + 1,
            create_time=from_ms(RECEIVE_MS),
            parts=[Part(receive_time=from_ms(RECEIVE_MS), readings=sent[first : first + READINGS_PER_BATCH])],
        ).SerializeToString()
        for first in range(0, len(sent), READINGS_PER_BATCH)
    ]


@pytest.mark.parametrize(
    ("name", "plain_arithmetic"),
    [
        ("readings/uci_household_1min.txt", household_milliwatt_hours),
        ("green-button/2011-01_hourly.xml", green_button_milliwatt_hours),
        ("green-button/nine_days_hourly_with_cost.xml", green_button_milliwatt_hours),
        ("green-button/one_year_daily_with_cost.xml", green_button_milliwatt_hours),
        ("green-button/sdge_2019-10_hourly.xml", green_button_milliwatt_hours),
    ],
)
async def test_a_real_file_comes_out_as_it_went_in(
    database: Database, samples_dir: Path, name: str, plain_arithmetic: Callable[[Path], list[int]]
) -> None:
    """Each reading with its start, its length and its energy; in sum what the shell pipeline finds, too."""
    file = open_file(samples_dir / name, "Europe/Paris" if name.endswith(".txt") else None)
    sent = [to_reading(each, "home") for each in file.readings]
    store, decoder = await store_on(database), BatchDecoder()
    await store.take([decoder.decode(body, RECEIVE_MS).segment for body in disturbed_batches(sent)])
    await store.fold_everything()
    start_ms = min(to_ms(one.start_time) for one in sent)
    end_ms = max(to_ms(one.start_time) for one in sent) + 1

    found = [
        read_back(METER.name, key.device_id, at_ms, observation)
        async for key, span in store.usage.spans(METER, "home", start_ms, end_ms)
        for at_ms, observation, is_superseded in readings_of(key, span, start_ms, end_ms)
        if not is_superseded
    ]

    energies = plain_arithmetic(samples_dir / name)
    by_start = sorted(zip(sent, energies, strict=True), key=lambda pair: to_ms(pair[0].start_time))
    assert [(to_ms(one.start_time), duration_to_ms(one.interval)) for one in found] == [
        (to_ms(one.start_time), duration_to_ms(one.interval)) for one, _ in by_start
    ]
    assert [milliwatt_hours(one.meter.import_kwh) for one in found] == [energy for _, energy in by_start]
    days = [datetime.fromtimestamp(start_ms / 1000, tz=UTC), datetime.fromtimestamp(end_ms / 1000, tz=UTC)]
    first, after = days[0].date(), days[1].date() + timedelta(days=1)
    answer = await verify_by_shell(database, "home", "Etc/UTC", str(first), str(after))
    assert answer["milliwatt_hours"] == sum(energies)


def five_minutes_of_solar(path: Path) -> list[tuple[int, int]]:
    """Import and export of each interval of a NEM12 file, from the cells of each register's lines."""
    cells: dict[str, list[int]] = {}
    register = ""
    for line in path.read_text("ascii").splitlines():
        head, *rest = line.split(",")
        if head == "200":
            register = rest[3]
        elif head == "300":
            cells.setdefault(register, []).extend(milliwatt_hours_of(cell) for cell in rest[1:289])
    return list(zip(cells["E1"], cells["B1"], strict=True))


def days_of_a_solar_home(path: Path) -> list[tuple[int, int]]:
    """Import and export of each day of a home, without the line whose day overlaps the one before it."""
    rows = [line.split(",") for line in path.read_text("utf-8").splitlines()[1:]]
    return [
        (milliwatt_hours_of(row[4]), milliwatt_hours_of(row[5]))
        for number, row in enumerate(rows, start=2)
        if number != 1311
    ]


def milliwatt_hours_of(cell: str) -> int:
    """Whole milliwatt-hours of a number of kWh."""
    return rounded(Decimal(cell) * 1_000_000)


def with_known_columns(path: Path, directory: Path) -> Path:
    """The file with its columns named as they are read."""
    text = path.read_text("utf-8")
    renamed = {"Date time": "start_time", "From Grid (kWh)": "import_kwh", "To Grid (kWh)": "export_kwh"}
    for name, column in renamed.items():
        text = text.replace(name, column, 1)
    copied = directory / path.name
    copied.write_text(text, "utf-8")
    return copied


@pytest.mark.parametrize(
    ("name", "zone", "plain_arithmetic"),
    [
        ("nem12/month_solar_5min.csv", "Australia/Sydney", five_minutes_of_solar),
        ("readings/home_solar_battery_daily.csv", "America/Los_Angeles", days_of_a_solar_home),
    ],
)
async def test_what_a_home_took_and_gave_comes_out_as_it_went_in(
    database: Database,
    samples_dir: Path,
    tmp_path: Path,
    *,
    name: str,
    zone: str,
    plain_arithmetic: Callable[[Path], list[tuple[int, int]]],
) -> None:
    """Both channels of each interval, five minutes or a day of 23 to 25 hours; and their sums as usage tells them."""
    path = samples_dir / name
    file = open_file(with_known_columns(path, tmp_path) if name.startswith("readings/") else path, zone)
    sent = [to_reading(each, "home") for each in file.readings]
    store, decoder = await store_on(database), BatchDecoder()
    await store.take([decoder.decode(body, RECEIVE_MS).segment for body in disturbed_batches(sent, reach=300)])
    await store.fold_everything()
    start_ms, end_ms = to_ms(sent[0].start_time), to_ms(sent[-1].start_time) + 1

    found = [
        (at_ms, one.interval_ms, (one.values[0], one.values[1]))
        async for key, span in store.usage.spans(METER, "home", start_ms, end_ms)
        for at_ms, one, is_superseded in readings_of(key, span, start_ms, end_ms)
        if not is_superseded
    ]

    energies = plain_arithmetic(path)
    assert found == [
        (to_ms(one.start_time), duration_to_ms(one.interval), pair) for one, pair in zip(sent, energies, strict=True)
    ]
    used = (await store.usage.by_device(METER, ["home"], start_ms, end_ms))["home"].energies
    assert used == {
        "import_milliwatt_hours": sum(taken for taken, _ in energies),
        "export_milliwatt_hours": sum(given for _, given in energies),
    }
