"""Ingestion's settings come from the environment, and wrong ones are refused by name."""

from __future__ import annotations

import pytest

from common.config import ConfigError
from ingestion.config import IngestionConfig


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    """The ports of the design, half a MiB a batch, 64 MiB waiting, 15 s of patience, a tick each 5 s."""
    config = IngestionConfig.load({})

    assert (config.grpc_port, config.metrics_port) == (50052, 9102)
    assert (config.batch_maximum_bytes, config.waiting_maximum_bytes) == (524_288, 67_108_864)
    assert (config.away_patience_seconds, config.tick_seconds) == (15.0, 1.0)


def test_wrong_settings_are_reported_together() -> None:
    """Each problem names its variable."""
    with pytest.raises(ConfigError) as refused:
        IngestionConfig.load({"TICK_SECONDS": "0", "BATCH_MAXIMUM_BYTES": "many", "PARTITIONS": "4"})

    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["BATCH_MAXIMUM_BYTES", "TICK_SECONDS"]
