"""Rates of the US Utility Rate Database that cannot be taken: each says what is wrong and where."""

from pathlib import Path
from typing import Any

import pytest

from loadgen.files.file_readings import FileError
from loadgen.files.urdb_file import read_urdb
from tests.unit.loadgen.urdb_cases import DEMAND, FLAT, WEEKDAY, taken


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"energyratestructure": []}, "energyratestructure is missing"),
        ({"energyratestructure": "x"}, "energyratestructure must be a list"),
        ({"energyratestructure": [[], [{"rate": 1}]]}, r"energyratestructure\[0\] must be a list of tiers"),
        ({"energyratestructure": [[{"unit": "kWh"}], [{"rate": 1}]]}, r"energyratestructure\[0\]\[0\] has no rate"),
        ({"energyratestructure": [[{"rate": "a"}], [{"rate": 1}]]}, r"\[0\]\[0\].rate is 'a', must be a number"),
        ({"energyratestructure": [[{"rate": 1}, {"rate": 2}]], **FLAT}, "has no max, so the tiers after it"),
        (
            {"energyratestructure": [[{"rate": 1, "max": 5, "unit": "kWh/kW"}, {"rate": 2, "unit": "kWh/kW"}]], **FLAT},
            "has tiers by kwh/kw",
        ),
        ({"energyweekdayschedule": [WEEKDAY] * 11}, "energyweekdayschedule has 11 months, must have 12"),
        ({"energyweekendschedule": None}, "energyweekendschedule is missing"),
        (
            {"energyweekdayschedule": [WEEKDAY] * 3 + [WEEKDAY[:-1]] + [WEEKDAY] * 8},
            r"energyweekdayschedule\[3\] has 23 entries, must have 24",
        ),
        (
            {"energyweekdayschedule": [[2] * 24] * 12},
            r"energyweekdayschedule\[0\]\[0\] is 2, must be a period from 0 to 1",
        ),
        ({"flatdemandstructure": [[{"rate": 1}]]}, "flatdemandmonths is missing"),
        (
            {"flatdemandstructure": [[{"rate": 1}]], "flatdemandmonths": [0] * 12, "demandunits": "kVA"},
            "demandunits is kva, taken is kW",
        ),
        (
            {"flatdemandstructure": [[{"rate": 1, "max": 5}, {"rate": 2}]], "flatdemandmonths": [0] * 12},
            "has tiers of demand",
        ),
        ({"fixedchargefirstmeter": 5, "fixedchargeunits": "$/week"}, "fixedchargeunits is \\$/week"),
        ({"mincharge": 5, "minchargeunits": "$/day"}, "minchargeunits is \\$/day"),
        ({**DEMAND, "lookbackmonths": [1] * 4 + [0] * 8}, "lookbackmonths names some months of the year only"),
        ({**DEMAND, "lookbackmonths": [1] * 11}, "lookbackmonths has 11 entries, must have 12"),
        ({**DEMAND, "lookbackmonths": [2] * 12}, r"lookbackmonths\[0\] is 2, must be true or false"),
        (DEMAND, "has neither lookbackrange nor lookbackmonths"),
        (
            {"energyratestructure": [[{"rate": 1, "max": 5, "sell": 1}, {"rate": 2, "sell": 2}]], **FLAT},
            r"energyratestructure\[0\] has a sell price that differs from tier to tier",
        ),
        (
            {"energyratestructure": [[{"rate": 1, "sell": 1}]], "dgrules": "Net Metering", **FLAT},
            "dgrules are Net Metering beside sell prices",
        ),
        ({"energyratestructure": [[{"rate": 1, "sell": 1}]], "dgrules": "Other", **FLAT}, "dgrules are 'Other'"),
        ({"startdate": 10**20}, "startdate must be seconds since 1970"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_place(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """Never a silent zero."""
    with pytest.raises(FileError, match=told):
        taken(tmp_path, **changes)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ('{"items": [{"rate": NaN}]}', "NaN is no number"),
        ('{"error": {"code": "API_KEY_MISSING", "message": "No api_key was supplied."}}', "No api_key was supplied"),
        ('{"items": []}', "none"),
        ('{"items": [{"label": "a"}, {"label": "b"}]}', "name one of its rates by its label: a, b"),
        ("[1]", "holds no rate"),
        ('"x"', "holds no rate"),
    ],
)
def test_a_file_without_one_rate_is_refused(tmp_path: Path, content: str, told: str) -> None:
    """Error replies of the database among them."""
    path = tmp_path / "rate.json"
    path.write_text(content)

    with pytest.raises(FileError, match=told):
        read_urdb(path)
    with pytest.raises(FileError):
        read_urdb(tmp_path / "missing.json")
