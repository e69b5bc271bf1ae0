"""What status pages are made of in tests."""

from exporter.status_page.overview import moment_of
from exporter.status_page.rendering import ExporterView
from tests.support.factories import at

LONG_AGO = 1_000_000.0
EXPORTER = ExporterView("1.2.3", "3 d", moment_of(LONG_AGO, at(LONG_AGO + 300)))
