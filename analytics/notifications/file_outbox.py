"""What would be sent, as files: the way of everything that has no other one set, for trying things out."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from pathlib import Path

from analytics.notifications.email_sender import mail_of
from analytics.notifications.notification import Delivery, Outcome
from analytics.notifications.preferences import Channel, Route
from analytics.notifications.sender import Answer, HandOver
from analytics.notifications.webhook_message import webhook_body
from common.logs import get_logger

FILES_MAXIMUM = 10_000
"""More are not written, for the folder may share its room with others."""

_FROM = "gridmesh@localhost"

_log = get_logger(__name__)


class FileOutbox:
    """Writes a file for each delivery, named by its id, so that what comes twice is there once.

    Mails are `.eml`, which mail programs open; all else is JSON. Files are whole or not there; to delete them is for
    whoever reads them.
    """

    is_repeatable = True

    def __init__(self, folder: Path, files_maximum: int = FILES_MAXIMUM) -> None:
        self._folder = folder
        self._files_maximum = files_maximum

    async def send(self, delivery: Delivery, route: Route, hand_over: HandOver) -> Answer:
        """Writes the file."""
        await hand_over()
        try:
            await asyncio.to_thread(self._write, delivery, route)
        except OSError as failure:
            _log.warning("file_outbox_unwritable", folder=str(self._folder), cause=type(failure).__name__)
            return Answer(Outcome.AWAY)
        return Answer(Outcome.TAKEN)

    def _write(self, delivery: Delivery, route: Route) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if sum(1 for _ in self._folder.iterdir()) >= self._files_maximum:
            raise OSError(errno.ENOSPC, f"{self._folder} holds {self._files_maximum} files")
        name, content = _file(delivery, route)
        partial = self._folder / f".{name}.{os.getpid()}"
        partial.write_bytes(content)
        partial.replace(self._folder / name)


def _file(delivery: Delivery, route: Route) -> tuple[str, bytes]:
    if route.channel is Channel.EMAIL:
        return f"{delivery.delivery_id}.eml", mail_of(delivery, route.address, _FROM).as_bytes()
    message = json.loads(webhook_body(delivery))
    content = {"channel": route.channel.value, "to": route.address, "message": message}
    return f"{delivery.delivery_id}.json", json.dumps(content, indent=2, sort_keys=True).encode()
