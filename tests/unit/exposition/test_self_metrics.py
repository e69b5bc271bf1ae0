"""The exporter's own part of the page."""

import asyncio

import pytest

from exporter import __version__
from exporter.exposition import self_metrics
from exporter.exposition.page import NOTHING, Page, TargetFragment
from exporter.exposition.self_metrics import SelfMetrics


def lines(page: bytes, prefix: str) -> list[str]:
    return [line for line in page.decode().splitlines() if line.startswith(prefix)]


async def test_the_page_is_measured() -> None:
    """Size before compression and series; of this page, not of the last."""
    part = TargetFragment(version=1, expiry=2.0, lines={"pg_a": b"x" * 990}, size=990, series=7)
    page = SelfMetrics().page("text", Page({"pg_a": b"# HELP pg_"}, [part]))

    assert lines(page, "datatier_scrape_page") == [
        "datatier_scrape_page_bytes 1000.0",
        "datatier_scrape_page_series 7.0",
    ]


async def test_the_version_is_known() -> None:
    assert lines(SelfMetrics().page("text", NOTHING), "datatier_build_info") == [
        f'datatier_build_info{{version="{__version__}"}} 1.0'
    ]


async def test_the_process_is_measured() -> None:
    """As every client library does it."""
    page = SelfMetrics().page("text", NOTHING)

    assert lines(page, "process_resident_memory_bytes ")
    assert lines(page, "process_open_fds ")
    assert lines(page, "python_gc_collections_total")


async def test_openmetrics_has_its_end() -> None:
    """What comes before it must not."""
    assert SelfMetrics().page("openmetrics", NOTHING).endswith(b"# EOF\n")
    assert b"# EOF" not in SelfMetrics().page("text", NOTHING)


async def test_two_exporters_in_one_process_are_two() -> None:
    """No registry is shared, and nothing imported elsewhere adds to the page."""
    first, second = SelfMetrics(), SelfMetrics()
    first.page("text", Page({"pg_a": b"x"}, ()))

    assert lines(second.page("text", NOTHING), "datatier_scrape_page_bytes") == ["datatier_scrape_page_bytes 0.0"]


async def test_a_blocked_loop_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lag is how much later than asked a sleep ends."""
    monkeypatch.setattr(self_metrics, "LAG_EVERY", 0.01)
    own, loop = SelfMetrics(), asyncio.get_running_loop()
    task = asyncio.create_task(own.measure_lag())
    await asyncio.sleep(0)
    end = loop.time() + 0.06
    while loop.time() < end:
        pass
    await asyncio.sleep(0.005)
    [line] = lines(own.page("text", NOTHING), "datatier_event_loop_lag_seconds ")
    [tasks] = lines(own.page("text", NOTHING), "datatier_tasks ")
    task.cancel()

    assert 0.03 < float(line.split()[1]) < 5
    assert float(tasks.split()[1]) >= 2
