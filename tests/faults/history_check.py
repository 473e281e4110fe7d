"""The checker: what a client was acked against what the store says, with nothing of the mesh's own arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple, Self

from tests.faults.journal import Book, Identity
from tests.faults.measurement import INTERVAL_MS, INTERVALS_AN_HOUR, given_of, taken_of

WINDOW_MS = 900_000

_CENT = Decimal("0.01")
_MILLIWATT_HOURS_PER_KWH = Decimal(1_000_000)


class Recorded(NamedTuple):
    """A reading as the store tells it, superseded ones among them."""

    identity: Identity
    milliwatt_hours: int
    superseded: bool


class Figures(NamedTuple):
    """What was counted of one device: readings, and their energy."""

    reading_count: int
    milliwatt_hours: int


class Bill(NamedTuple):
    """What one device has to pay, in units of the currency, and what for."""

    figures: Figures
    net: Decimal
    tax: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """A flat price and the tax on it."""

    per_kwh: Decimal
    tax_percent: Decimal


@dataclass(slots=True)
class Findings:
    """What is wrong, a sentence each; nothing is as it should be.

    `lost` counts acked readings that are not there with the value they had, `doubled` those that count more than once.
    """

    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, problem: str, *, lost: int = 0, doubled: int = 0) -> None:
        """Notes one problem."""
        self.lost += lost
        self.doubled += doubled
        self.problems.append(problem)

    @classmethod
    def together(cls, *views: Self) -> Self:
        """Several views of the same readings: what one of them misses is missing, but only once."""
        return cls(
            max(view.lost for view in views),
            max(view.doubled for view in views),
            [problem for view in views for problem in view.problems],
        )


def due_of(sent: Book, acked: Book, recorded: Iterable[Recorded]) -> Book:
    """What has to count: every acked reading, and of those that were sent without an ack those that are there."""
    arrived = {found.identity for found in recorded}
    return {identity: value for identity, value in sent.items() if identity in acked or identity in arrived}


def check_readings(sent: Book, acked: Book, recorded: Iterable[Recorded]) -> Findings:
    """Every acked reading is there, once, as it was sent; nothing else is; the highest revision counts."""
    findings = Findings()
    listed = list(recorded)
    times = Counter(found.identity for found in listed)
    values = {found.identity: found.milliwatt_hours for found in listed}
    for identity in acked.keys() - values.keys():
        findings.add(f"{_name(identity)} is lost", lost=1)
    for identity, value in values.items():
        if identity not in sent:
            findings.add(f"{_name(identity)} was never sent")
        elif value != sent[identity]:
            findings.add(f"{_name(identity)} was {sent[identity]} mWh and is {value}", lost=identity in acked)
        if times[identity] > 1:
            findings.add(f"{_name(identity)} is there {times[identity]} times", doubled=times[identity] - 1)
    highest = _highest_revisions(values)
    for found in listed:
        device_id, start_ms, revision = found.identity
        counts = revision == highest[device_id, start_ms]
        if counts == found.superseded:
            findings.add(f"{_name(found.identity)} is told as {'superseded' if counts else 'the one that counts'}")
    return findings


def figures_of(due: Book, share: Callable[[int], int] = lambda drawn: drawn) -> dict[str, Figures]:
    """What usage has to say of each device; of all its energy, or of a share of what was drawn."""
    figures: dict[str, Figures] = {}
    for (device_id, start_ms), revision in _highest_revisions(due).items():
        count, energy = figures.get(device_id, (0, 0))
        figures[device_id] = Figures(count + 1, energy + share(due[Identity(device_id, start_ms, revision)]))
    return figures


def check_usage(due: Mapping[str, Figures], told: Mapping[str, Figures]) -> Findings:
    """Usage counts each reading once, and its energy to the milliwatt-hour."""
    findings = Findings()
    for device_id in sorted(due.keys() | told.keys()):
        expected, found = due.get(device_id, Figures(0, 0)), told.get(device_id, Figures(0, 0))
        if expected != found:
            lost, doubled = _astray(expected, found)
            findings.add(f"usage of {device_id} is {found} instead of {expected}", lost=lost, doubled=doubled)
    return findings


class Window(NamedTuple):
    """What a closed window of a region says: meters heard and their readings, energies in milliwatt-hours.

    The last two are import less export of the minutes with the smallest and the greatest load.
    """

    meters: int
    readings: int
    taken: int
    given: int
    least_minute: int
    greatest_minute: int


NO_WINDOW = Window(0, 0, 0, 0, 0, 0)


def windows_of(due: Book) -> dict[int, Window]:
    """What the closed windows of a region of meters have to say, by their start."""
    counted: dict[int, list[tuple[str, int, int]]] = {}
    for (device_id, start_ms), revision in _highest_revisions(due).items():
        drawn = due[Identity(device_id, start_ms, revision)]
        counted.setdefault(start_ms // WINDOW_MS * WINDOW_MS, []).append((device_id, start_ms, drawn))
    return {window_ms: _window_of(readings) for window_ms, readings in counted.items()}


def _window_of(readings: list[tuple[str, int, int]]) -> Window:
    minutes: Counter[int] = Counter()
    for _, start_ms, drawn in readings:
        minutes[start_ms // INTERVAL_MS] += taken_of(drawn) - given_of(drawn)
    return Window(
        meters=len({device_id for device_id, _, _ in readings}),
        readings=len(readings),
        taken=sum(taken_of(drawn) for _, _, drawn in readings),
        given=sum(given_of(drawn) for _, _, drawn in readings),
        least_minute=min(minutes.values()),
        greatest_minute=max(minutes.values()),
    )


class LiveLoad(NamedTuple):
    """What the meters of a region do now: how many are heard, and their power together, kW."""

    meter_count: int
    power_kw: float


def live_load_of(due: Book) -> LiveLoad:
    """The live load by the newest reading of each meter, whose power is import less export by the time it took."""
    newest = {device_id: (start_ms, revision) for device_id, start_ms, revision in sorted(due)}
    drawn = [due[Identity(device_id, *place)] for device_id, place in newest.items()]
    return LiveLoad(len(newest), sum(taken_of(each) - given_of(each) for each in drawn) * INTERVALS_AN_HOUR / 1_000_000)


def check_windows(due: Mapping[int, Window], told: Mapping[int, Window]) -> list[str]:
    """What is wrong with the closed windows of a region, which are to be what its readings come to."""
    places = sorted(due.keys() | told.keys())
    wrong = [place for place in places if due.get(place, NO_WINDOW) != told.get(place, NO_WINDOW)]
    return [f"the window from {place} on is {told.get(place)} instead of {due.get(place)}" for place in wrong]


def bill_of(figures: Figures, price: Price) -> Bill:
    """A bill by plain arithmetic: one line, rounded half up, and the tax on it, rounded likewise."""
    energy_kwh = figures.milliwatt_hours / _MILLIWATT_HOURS_PER_KWH
    net = (energy_kwh * price.per_kwh).quantize(_CENT, ROUND_HALF_UP)
    tax = (net * price.tax_percent / 100).quantize(_CENT, ROUND_HALF_UP)
    return Bill(figures, net, tax, net + tax)


def check_bills(due: Mapping[str, Bill], told: Mapping[str, Bill]) -> Findings:
    """Every bill is the one that plain arithmetic gives."""
    findings = Findings()
    for device_id, expected in due.items():
        found = told.get(device_id)
        if found is None:
            findings.add(f"there is no bill of {device_id}", lost=expected.figures.reading_count)
        elif expected != found:
            lost, doubled = _astray(expected.figures, found.figures)
            findings.add(f"the bill of {device_id} is {found} instead of {expected}", lost=lost, doubled=doubled)
    return findings


def _highest_revisions(identities: Iterable[Identity]) -> dict[tuple[str, int], int]:
    highest: dict[tuple[str, int], int] = {}
    for device_id, start_ms, revision in identities:
        key = device_id, start_ms
        highest[key] = max(revision, highest.get(key, 0))
    return highest


def _astray(due: Figures, found: Figures) -> tuple[int, int]:
    """How many readings are lost and how many doubled; where only the energy differs, at least one is."""
    more = found.reading_count - due.reading_count
    if more == 0:
        more = (found.milliwatt_hours > due.milliwatt_hours) - (found.milliwatt_hours < due.milliwatt_hours)
    return max(-more, 0), max(more, 0)


def _name(identity: Identity) -> str:
    return f"{identity.device_id} at {identity.start_ms} revision {identity.revision}"
