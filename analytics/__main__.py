"""Starts analytics: `python -m analytics`, settings from the environment; `--prepare` only makes what it needs."""

from __future__ import annotations

import asyncio
import os
import sys

from analytics.app import run
from analytics.config import AnalyticsConfig
from analytics.prepare import prepare
from common.lifecycle import run_service
from common.preparation import ARGUMENT, run_preparation


async def main(stop: asyncio.Event) -> None:
    """Loads the settings and serves until `stop` is set."""
    await run(AnalyticsConfig.load(os.environ), stop)


async def prepare_alone() -> None:
    """Makes what the servers have to have for it, and serves nobody."""
    await prepare(AnalyticsConfig.load(os.environ))


if __name__ == "__main__":
    sys.exit(run_preparation(prepare_alone) if sys.argv[1:] == [ARGUMENT] else run_service(main))
