"""The cache of what servers need: filled once, and never with halves."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testkit.cache import cached


def test_cache_fills_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two who ask at the same time get one filling."""
    monkeypatch.setattr("testkit.cache.folder", lambda: tmp_path)
    fillings = []

    def fill(place: Path) -> None:
        fillings.append(place)
        time.sleep(0.05)
        (place / "file").write_text("content")

    with ThreadPoolExecutor(2) as pool:
        places = list(pool.map(lambda _: cached("server/1", fill), range(2)))

    assert places == [tmp_path / "server" / "1"] * 2
    assert len(fillings) == 1
    assert (places[0] / "file").read_text() == "content"


def test_cache_keeps_nothing_of_a_failed_filling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one tries again."""
    monkeypatch.setattr("testkit.cache.folder", lambda: tmp_path)

    def fail(place: Path) -> None:
        (place / "half").touch()
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        cached("server/1", fail)

    assert [path.name for path in (tmp_path / "server").iterdir()] == ["1.lock"]
