"""Times of backups that lie in the future: some clock is wrong, and nothing can be told from them."""

import math

from exporter.datastores.backup_sets.backup import Problem
from exporter.units import span

AHEAD_SECONDS = 3600.0  # by which the clock of who makes backups may be ahead of ours


def clock_problem(moment: float, now: float) -> Problem | None:
    """Return what is wrong with a backup's time that lies more than an hour in the future, or is no number."""
    if moment <= now + AHEAD_SECONDS:
        return None
    detail = f"dated {span(moment - now)} in the future" if math.isfinite(moment) else "its time is no number"
    return Problem("clock", detail)
