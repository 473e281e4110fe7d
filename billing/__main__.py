"""Starts billing: `python -m billing`, settings from the environment."""

from __future__ import annotations

import asyncio
import os
import sys

from billing.app import run
from billing.config import BillingConfig
from common.lifecycle import run_service


async def main(stop: asyncio.Event) -> None:
    """Loads the settings and serves until `stop` is set."""
    await run(BillingConfig.load(os.environ), stop)


if __name__ == "__main__":
    sys.exit(run_service(main))
