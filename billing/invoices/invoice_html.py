"""A printed invoice as one HTML page that needs nothing beside it; whatever people have named is escaped."""

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from billing.invoices.printed_invoice import PrintedInvoice
from billing.invoices.usage_chart import HEIGHT, WIDTH


def invoice_html(invoice: PrintedInvoice) -> bytes:
    """The page, UTF-8."""
    return _template().render(invoice=invoice, width=WIDTH, height=HEIGHT).encode()


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(loader=PackageLoader("billing"), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("invoice.html")
