"""How many have a tariff at a moment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from billing.tariffs.tariff_assignment import TariffAssignment, effective_assignments


@dataclass(slots=True)
class Holders:
    """The meters that have a tariff, by number, and their accounts."""

    device_count: int = 0
    account_ids: set[str] = field(default_factory=set)


def holders(
    devices: Iterable[tuple[str, str, list[str]]], latest: Mapping[str, TariffAssignment]
) -> dict[str, Holders]:
    """Who has which tariff: of devices (id, account and the scopes that may assign one to it), by tariff.

    `latest` is the assignment that began last in each scope.
    """
    found: dict[str, Holders] = {}
    for device_id, account_id, scopes in devices:
        given = effective_assignments(device_id, (latest[scope] for scope in scopes if scope in latest))
        if given and given[-1].tariff_id:
            of_tariff = found.setdefault(given[-1].tariff_id, Holders())
            of_tariff.device_count += 1
            of_tariff.account_ids.add(account_id)
    return found
