"""What analytics is told at its start."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from yarl import URL

from analytics.notifications.allowed_networks import networks_of
from common.config import PeerAddress, Port, ServiceConfig


class AnalyticsConfig(ServiceConfig):
    """The settings of analytics."""

    grpc_port: Port = 50054
    metrics_port: Port = 9104
    gateway_address: PeerAddress = "127.0.0.1:50051"
    """Where the gateway listens, which has the registry."""
    billing_address: PeerAddress = "127.0.0.1:50053"
    """Where billing listens, which has the usage."""
    prefetch: int = Field(default=32, ge=1, le=10_000)
    """Deliveries of one partition in hand at a time; they wait for the store, and each may hold thousands of
    readings."""
    remembered_batches: int = Field(default=50_000, ge=1)
    """Batch ids that are known again; a redelivery is younger than this many batches."""
    usage_concurrency: int = Field(default=16, ge=1, le=1000)
    """Questions to billing at a time."""
    fleet_refresh_seconds: float = Field(default=5.0, gt=0, le=300)
    """How often the gauges of the fleet are counted anew."""
    unleased_refresh_seconds: float = Field(default=2.0, gt=0, le=300)
    """How often the newest readings of devices whose stream another replica consumes are asked for."""
    window_lateness_seconds: float = Field(default=60.0, ge=0, le=600)
    """How long after a window of a region has ended it waits for what is late, by what billing has on record."""
    window_catch_up_hours: int = Field(default=24, ge=1, le=24 * 31)
    """Windows that ended so long before and were never closed, for nobody was there to, are closed by themselves; once
    it is on record through when all were closed, everything since then."""
    window_correction_days: int = Field(default=366, ge=1, le=3660)
    """Readings that come later than so many days after their window change it no more."""
    window_check_seconds: float = Field(default=60.0, gt=0, le=3600)
    """How often billing is asked for which windows something was recorded late, should the queues have lost it."""
    region_window_retention_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days after which the quarter-hours of regions are removed, of which the hours stay; by default never. Not less
    than WINDOW_CORRECTION_DAYS."""
    window_concurrency: int = Field(default=2, ge=1, le=100)
    """Windows that are summed up at a time, by one call to billing each."""
    region_load_refresh_seconds: float = Field(default=2.0, gt=0, le=300)
    """How often those who watch the load of regions are told."""
    alerts_timely_seconds: float = Field(default=900.0, gt=0, le=86_400)
    """Readings that are received longer after the end of their interval are history and raise no alert."""
    alert_retention_days: int | None = Field(default=731, ge=1, le=36_500)
    """How long alerts that are over are kept, with their history, after they changed last; None: for ever."""
    baseline_save_seconds: float = Field(default=30.0, gt=0, le=3600)
    """How often what the power of devices usually is gets written; a kill loses what was learnt since."""
    storage_efficiency_low_percent: float = Field(default=85.0, ge=0, le=100)
    """Under this round-trip efficiency the state of a battery is LOW; 85 is what plans reckon with."""
    notification_outbox_folder: str = ".run/outbox"
    """Where what has no other way set is written as files."""
    notification_repeat_seconds: float = Field(default=900.0, ge=0, le=86_400)
    """A cause that comes back sooner after it was told is not sent again."""
    alert_escalation_seconds: float = Field(default=900.0, ge=1, le=604_800)
    """After so long without anybody taking an alert on, the next level of people is told; after twice as long the one
    after it, and so on."""
    notification_retry_seconds: float = Field(default=10.0, gt=0, le=3600)
    """The pause after the first try that failed; the second is six times as long."""
    notification_retention_days: int = Field(default=90, ge=1, le=3660)
    """How long notifications and deliveries are kept."""
    smtp_host: str = ""
    """The mail server; empty: mails are written as files."""
    smtp_port: Port = 587
    """Of the mail server."""
    smtp_username: str = ""
    """With whom the mail server is logged in to; empty: without."""
    smtp_password: SecretStr = SecretStr("")
    """Likewise; shows in no text."""
    smtp_from: str = ""
    """In whose name mails are sent; needed with SMTP_HOST."""
    smtp_implicit_tls: bool = False
    """The server speaks TLS from the first byte, as on port 465, and does not begin in the clear (STARTTLS)."""
    smtp_insecure_plaintext: bool = False
    """Mails and the password go to the server in the clear."""
    webhooks_enabled: bool = False
    """Whether webhooks are called; else what they would get is written as files."""
    webhook_allowed_networks: str = ""
    """Networks beside the public internet that webhooks may be in: CIDR notation, with commas between them."""
    sms_provider_url: str = ""
    """Where text messages are handed in; empty: they are written as files."""
    sms_provider_token: SecretStr = SecretStr("")
    """What it is told to know us by, as a bearer token."""

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _networks(cls, text: str) -> str:
        networks_of(text)
        return text

    @field_validator("sms_provider_url")
    @classmethod
    def _provider(cls, text: str) -> str:
        if text and (URL(text).scheme != "https" or not URL(text).host):
            raise ValueError("must be an https URL")
        return text

    @model_validator(mode="after")
    def _windows_are_kept_while_they_change(self) -> Self:
        days = self.region_window_retention_days
        if days is not None and days < self.window_correction_days:
            raise ValueError("REGION_WINDOW_RETENTION_DAYS must not be less than WINDOW_CORRECTION_DAYS")
        return self

    @model_validator(mode="after")
    def _mail_needs_a_sender(self) -> Self:
        if self.smtp_host and "@" not in self.smtp_from:
            raise ValueError("SMTP_FROM must be an e-mail address where SMTP_HOST is set")
        return self
