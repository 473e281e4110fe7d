"""Starts analytics: `python -m analytics`, settings from the environment."""

from __future__ import annotations

import asyncio
import os
import sys

from analytics.app import run
from analytics.config import AnalyticsConfig
from common.lifecycle import run_service


async def main(stop: asyncio.Event) -> None:
    """Loads the settings and serves until `stop` is set."""
    await run(AnalyticsConfig.load(os.environ), stop)


if __name__ == "__main__":
    sys.exit(run_service(main))
