"""By which way each channel goes, as the settings say."""

from __future__ import annotations

import asyncio

import pytest

from analytics.config import AnalyticsConfig
from analytics.notification_wiring import senders
from analytics.notifications.email_sender import EmailSender
from analytics.notifications.file_outbox import FileOutbox
from analytics.notifications.preferences import Channel
from analytics.notifications.sms_sender import SmsSender
from analytics.notifications.webhook_sender import WebhookSender
from common.config import ConfigError
from common.lifecycle import Lifecycle

MAIL = {"SMTP_HOST": "mail.example.org", "SMTP_FROM": "mesh@example.org"}


async def ways(environ: dict[str, str]) -> dict[Channel, type]:
    """The kind of sender of each channel."""
    async with Lifecycle(1.0, asyncio.Event()) as lifecycle:
        found = senders(AnalyticsConfig.load(environ), lifecycle, lambda: 0)
        return {channel: type(sender) for channel, sender in found.items()}


async def test_everything_is_written_as_files_until_a_way_is_set() -> None:
    """Nothing leaves the machine by default."""
    assert set((await ways({})).values()) == {FileOutbox}


async def test_each_way_is_set_by_itself() -> None:
    """The others stay files."""
    assert (await ways(MAIL))[Channel.EMAIL] is EmailSender
    hooks = await ways({"WEBHOOKS_ENABLED": "true"})
    assert (hooks[Channel.WEBHOOK], hooks[Channel.SMS]) == (WebhookSender, FileOutbox)
    assert (await ways({"SMS_PROVIDER_URL": "https://sms.example.org/send"}))[Channel.SMS] is SmsSender


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"SMTP_HOST": "mail.example.org"}, "SMTP_FROM"),
        ({"WEBHOOK_ALLOWED_NETWORKS": "10.0.0.1/8"}, "WEBHOOK_ALLOWED_NETWORKS"),
        ({"SMS_PROVIDER_URL": "http://sms.example.org"}, "SMS_PROVIDER_URL"),
        ({"SMTP_PORT": "smtp", "SMTP_PASSWORD": "hunter2"}, "SMTP_PORT"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(environ: dict[str, str], named: str) -> None:
    """When the service starts, and no secret is told."""
    with pytest.raises(ConfigError, match=named) as refused:
        AnalyticsConfig.load(environ)
    assert "hunter2" not in str(refused.value)
