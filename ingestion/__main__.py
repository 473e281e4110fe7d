"""Starts ingestion: `python -m ingestion`, settings from the environment; `--prepare` only makes what it needs."""

from __future__ import annotations

import asyncio
import os
import sys

from common.preparation import ARGUMENT, run_preparation
from common.workers import run_workers
from ingestion.app import run
from ingestion.config import IngestionConfig
from ingestion.prepare import prepare


async def main(stop: asyncio.Event) -> None:
    """Loads the settings and serves until `stop` is set."""
    await run(IngestionConfig.load(os.environ), stop)


async def prepare_alone() -> None:
    """Makes what the servers have to have for it, and serves nobody."""
    await prepare(IngestionConfig.load(os.environ))


if __name__ == "__main__":
    if sys.argv[1:] == [ARGUMENT]:
        sys.exit(run_preparation(prepare_alone))
    sys.exit(run_workers("ingestion", IngestionConfig, main, sys.argv[1:], os.environ))
