"""What is let go of is told by a setting for each resolution, and by default nothing is."""

from typing import Any
from unittest.mock import MagicMock

import pytest
from prometheus_client import CollectorRegistry

from billing.config import BillingConfig
from billing.retention_wiring import retention_tasks
from common.config import ConfigError


@pytest.mark.parametrize(
    ("settings", "tasks"),
    [
        ({}, set[str]()),
        ({"RAW_RETENTION_DAYS": "30"}, {"retention"}),
        ({"LOG_RETENTION_DAYS": "30"}, {"log_retention"}),
        (
            {"RAW_RETENTION_DAYS": "30", "QUARTER_HOUR_RETENTION_DAYS": "400", "LOG_RETENTION_DAYS": "30"},
            {"retention", "quarter_hour_retention", "log_retention"},
        ),
    ],
)
def test_each_resolution_goes_by_a_setting_of_its_own(settings: dict[str, str], tasks: set[str]) -> None:
    """Readings, quarter-hours and the log."""
    stores: Any = MagicMock()

    assert set(retention_tasks(BillingConfig.load(settings), stores, stores, stores, CollectorRegistry())) == tasks


def test_quarter_hours_are_kept_longer_than_any_bill_looks_back() -> None:
    """A year and a month of a bill are less than 400 days."""
    with pytest.raises(ConfigError, match="QUARTER_HOUR_RETENTION_DAYS"):
        BillingConfig.load({"QUARTER_HOUR_RETENTION_DAYS": "399"})
