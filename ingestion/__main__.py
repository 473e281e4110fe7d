"""Starts ingestion: `python -m ingestion`, settings from the environment."""

from __future__ import annotations

import asyncio
import os
import sys

from common.workers import run_workers
from ingestion.app import run
from ingestion.config import IngestionConfig


async def main(stop: asyncio.Event) -> None:
    """Loads the settings and serves until `stop` is set."""
    await run(IngestionConfig.load(os.environ), stop)


if __name__ == "__main__":
    sys.exit(run_workers("ingestion", IngestionConfig, main, sys.argv[1:], os.environ))
