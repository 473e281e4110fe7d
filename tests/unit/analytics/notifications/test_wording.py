"""What people read of an alert."""

from __future__ import annotations

from analytics.alerts.alert import AlertType, Cause, Severity
from analytics.notifications.email_sender import mail_of
from analytics.notifications.notification import NotificationKind
from analytics.notifications.wording import TITLE_LENGTH_MAXIMUM, wording_of
from tests.unit.analytics.notifications.notices import MAIL, START_MS, a_delivery, an_alert, over

RAISED, OVER = NotificationKind.ALERT_RAISED, NotificationKind.ALERT_OVER


def test_an_alert_is_told_in_a_line_and_a_few_sentences() -> None:
    """With what was measured, where, and since when, by the reader's clock."""
    wording = wording_of(an_alert(Severity.CRITICAL), RAISED, "Asia/Kolkata")

    assert wording.title == "[CRITICAL] The battery of device pack-1 has 46.5 °C (limit 45 °C)"
    assert wording.text == (
        "The battery of device pack-1 has 46.5 °C (limit 45 °C).\n\n"
        "Severity: critical\nRegion: North\nAccount: acc-1\nSince: 2025-06-15 20:36:40 IST\nAlert: a-1\n"
    )


def test_its_end_says_who_ended_it_and_why() -> None:
    """In UTC where no zone is named."""
    wording = wording_of(over(an_alert(), "fan replaced"), OVER, "")

    assert wording.title.startswith("[over] ")
    assert "Over: 2025-06-15 15:07:40 UTC, by jo\nNote: fan replaced\n" in wording.text


def test_a_title_is_one_short_line_whatever_a_device_is_called() -> None:
    """For it becomes a header of a mail, or a text message."""
    strange = Cause(AlertType.OVER_TEMPERATURE, "North", "pack\r\nBcc: all@example.org " + "x" * 200)

    wording = wording_of(an_alert(cause=strange), RAISED, "")

    assert len(wording.title) == TITLE_LENGTH_MAXIMUM
    assert "\n" not in wording.title
    assert "\r" not in wording.title


def test_a_mail_is_the_same_each_time_and_asks_for_no_answer() -> None:
    """So that whoever gets it twice can tell."""
    delivery = a_delivery()

    mail = mail_of(delivery, MAIL.address, "mesh@example.net")

    assert mail.as_bytes() == mail_of(delivery, MAIL.address, "mesh@example.net").as_bytes()
    assert mail["To"] == "jo@example.org"
    assert mail["Subject"] == delivery.wording.title
    assert mail["Message-ID"] == f"<{delivery.delivery_id}@example.net>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.timestamp() * 1000 == START_MS
    assert mail.get_content().replace("\r\n", "\n") == delivery.wording.text
