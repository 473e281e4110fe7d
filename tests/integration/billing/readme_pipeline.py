"""The pipeline that billing's README gives people to verify a bill with, as it stands there."""

import json
import re
from pathlib import Path
from typing import Any

from common.mongo import Database

README = Path(__file__).resolve().parents[3] / "billing/README.md"
_PASTED = re.compile(r"```js\ndb\.(?P<collection>\w+)\.aggregate\((?P<stages>\[.*?\n\])\)\n```", re.DOTALL)
_DEVICE, _ZONE, _FIRST, _AFTER = "meter-1", "Asia/Kolkata", "2026-11-01", "2026-12-01"


async def verify_by_shell(
    database: Database, device_id: str, time_zone: str, start_date: str, end_date: str
) -> dict[str, Any]:
    """What the README's pipeline answers, with nothing changed in it but the device, its zone and the local days."""
    (pasted,) = _PASTED.finditer(README.read_text())
    text = pasted["stages"]
    for shown, wanted in ((_DEVICE, device_id), (_ZONE, time_zone), (_FIRST, start_date), (_AFTER, end_date)):
        assert f'"{shown}"' in text
        text = text.replace(f'"{shown}"', f'"{wanted}"')
    (answer,) = [document async for document in database[pasted["collection"]].aggregate(json.loads(text))]
    return dict(answer)
