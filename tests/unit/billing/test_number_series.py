"""How invoices are numbered."""

import pytest
from pydantic import ValidationError

from billing.config import BillingConfig
from billing.invoices.number_series import NumberSeries, number_of


def test_every_currency_is_in_one_series_until_it_has_its_own() -> None:
    """Two currencies may share one."""
    series = NumberSeries("INV", {"USD": "NA", "CAD": "NA"})

    assert [series.of(code) for code in ("EUR", "USD", "CAD")] == ["INV", "NA", "NA"]
    assert NumberSeries().of("USD") == "INV"


def test_a_number_is_the_prefix_and_eight_digits_or_more() -> None:
    """Numbers of two series are never the same, for a prefix has no hyphen."""
    assert [number_of(42, "INV"), number_of(123_456_789, "A1")] == ["INV-00000042", "A1-123456789"]


def test_the_prefixes_are_settings() -> None:
    """By default there is one."""
    config = BillingConfig(invoice_number_prefix="RE", invoice_number_prefixes={"USD": "US"})

    assert NumberSeries(config.invoice_number_prefix, config.invoice_number_prefixes).of("USD") == "US"
    assert (BillingConfig().invoice_number_prefix, BillingConfig().invoice_number_prefixes) == ("INV", {})


@pytest.mark.parametrize("prefix", ["", "inv", "A-1", "1A", "A" * 13, "CRN"])
def test_a_prefix_that_could_be_mistaken_is_refused(prefix: str) -> None:
    """Of all invoices and of those in a currency; and a currency is one."""
    with pytest.raises(ValidationError):
        BillingConfig(invoice_number_prefix=prefix)
    with pytest.raises(ValidationError):
        BillingConfig(invoice_number_prefixes={"USD": prefix})
    with pytest.raises(ValidationError):
        BillingConfig(invoice_number_prefixes={"usd": "US"})
