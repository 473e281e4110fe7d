"""A rate of the US Utility Rate Database that a test changes field by field."""

import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

from energy.billing.v1 import tariff_pb2 as pb

from common.money import to_decimal
from loadgen.files.urdb_file import read_urdb
from loadgen.files.urdb_tariff import UrdbChoices, UrdbTariff, urdb_tariff

NIGHT, PEAK = 0, 1
WEEKDAY = [NIGHT] * 17 + [PEAK] * 4 + [NIGHT] * 3
RATE: dict[str, Any] = {
    "label": "rate-1",
    "utility": "Utility",
    "name": "Evenings",
    "startdate": 1735718400,
    "energyratestructure": [[{"rate": 0.1, "adj": 0.01, "unit": "kWh"}], [{"rate": 0.4, "unit": "kWh"}]],
    "energyweekdayschedule": [WEEKDAY] * 12,
    "energyweekendschedule": [[NIGHT] * 24] * 12,
}
FLAT: dict[str, Any] = {
    "energyweekdayschedule": [[0] * 24] * 12,
    "energyweekendschedule": [[0] * 24] * 12,
}
DEMAND: dict[str, Any] = {
    "flatdemandstructure": [[{"rate": 3}]],
    "flatdemandmonths": [0] * 12,
    "lookbackpercent": 0.75,
}
TIERS: dict[str, Any] = {
    **FLAT,
    "energyratestructure": [
        [
            {"rate": 0.1, "max": 500, "unit": "kWh"},
            {"rate": 0.2, "max": 800.5, "unit": "kWh"},
            {"rate": 0.3, "max": 1e38, "unit": "kWh"},
        ]
    ],
}


def taken(folder: Path, *, choices: UrdbChoices | None = None, **changes: Any) -> UrdbTariff:
    """The tariff of the rate but for some fields."""
    path = folder / "rate.json"
    path.write_text(json.dumps({"items": [{**deepcopy(RATE), **changes}]}))
    return urdb_tariff(read_urdb(path), choices or UrdbChoices("t"))


def steps(pricing: pb.FlatPricing) -> list[tuple[str, Decimal]]:
    """Amount and price of each step."""
    return [(step.above_kwh.value, to_decimal(step.price_per_kwh)) for step in pricing.steps]
