"""Which tariff a device has: its own, else that of its site, else that of one of its groups."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TariffAssignment:
    """From `start_ms` (UTC milliseconds) on a tariff prices a device, until the next assignment begins.

    Or every device of a site or of a group that has none of its own; one of the three ids is set. An empty `tariff_id`
    is an end: from then on there is none.
    """

    device_id: str
    tariff_id: str
    start_ms: int
    site_id: str = ""
    group_id: str = ""

    @property
    def scope(self) -> str:
        """Whom it is for, such as `site:depot-1`; a device by its id alone."""
        return self.device_id or (f"site:{self.site_id}" if self.site_id else f"group:{self.group_id}")


@dataclass(frozen=True, slots=True)
class Correction:
    """Who says that an assignment was wrong, and why."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AssignmentVersion:
    """What was said at `create_ms` (UTC milliseconds) of who has which tariff from an instant on.

    The first one of a scope and start has the number 1; the greatest number counts. A cancelled one says that there is
    no assignment. `correction` is None of what corrects nothing.
    """

    assignment: TariffAssignment
    number: int
    create_ms: int
    is_cancelled: bool = False
    correction: Correction | None = None


def counting(versions: Iterable[AssignmentVersion], as_of_ms: int | None = None) -> list[TariffAssignment]:
    """The assignments that count, by start: of each scope and start the newest version, unless that cancels it.

    As of an instant, UTC milliseconds, of what had been said by then.
    """
    newest: dict[tuple[str, int], AssignmentVersion] = {}
    for one in versions:
        if as_of_ms is None or one.create_ms <= as_of_ms:
            key = (one.assignment.scope, one.assignment.start_ms)
            if key not in newest or newest[key].number < one.number:
                newest[key] = one
    found = [one.assignment for one in newest.values() if not one.is_cancelled]
    return sorted(found, key=lambda one: one.start_ms)


def scopes_of(device_id: str, site_id: str, group_ids: Iterable[str]) -> list[str]:
    """The scopes that may assign a tariff to a device."""
    sites = [TariffAssignment("", "", 0, site_id=site_id)] if site_id else []
    groups = [TariffAssignment("", "", 0, group_id=group_id) for group_id in group_ids]
    return [device_id, *(one.scope for one in (*sites, *groups))]


def effective_assignments(device_id: str, given: Iterable[TariffAssignment]) -> list[TariffAssignment]:
    """The assignments of a device, of its site and of its groups as changes of what the device has, by start.

    At any time the device's own assignment counts, without one that of its site, without one that of its groups: of
    several the one that began last, of equal ones that of the group whose id comes first. An empty `tariff_id` means
    that from then on there is none.
    """
    known = sorted(given, key=lambda one: one.start_ms)
    found: list[TariffAssignment] = []
    for start_ms in dict.fromkeys(one.start_ms for one in known):
        tariff_id = _at(known, start_ms)
        if not found or found[-1].tariff_id != tariff_id:
            found.append(TariffAssignment(device_id, tariff_id, start_ms))
    return found


def _at(known: Sequence[TariffAssignment], instant_ms: int) -> str:
    begun: dict[tuple[str, str, str], TariffAssignment] = {}
    for one in known:
        if one.start_ms <= instant_ms:
            begun[one.device_id, one.site_id, one.group_id] = one
    return next((one.tariff_id for one in sorted(_not_ended(begun.values()), key=_rank)), "")


def _not_ended(begun: Iterable[TariffAssignment]) -> Iterator[TariffAssignment]:
    return (one for one in begun if one.tariff_id)


def _rank(one: TariffAssignment) -> tuple[int, int, str]:
    if one.device_id:
        return 0, 0, ""
    if one.site_id:
        return 1, 0, ""
    return 2, -one.start_ms, one.group_id
