"""Keep what servers need from the network in a folder that outlives the run."""

import fcntl
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import platformdirs

APPLICATION = "datatier-exporter"


def folder() -> Path:
    """Return the cache folder: the user's own, or the system's for a root whose own is closed to others.

    Root's servers run as another user, who must be able to read and execute what lies here.
    """
    own = platformdirs.user_cache_path(APPLICATION)
    if os.geteuid() != 0 or open_to_all(own):
        return own
    return platformdirs.site_cache_path(APPLICATION)


def open_to_all(path: Path) -> bool:
    """Tell whether any user can enter `path` and every folder on the way, as far as they exist."""
    steps = [step for step in (path, *path.parents) if step.exists()]
    return all(step.stat().st_mode & stat.S_IXOTH for step in steps)


def cached(name: str, fill: Callable[[Path], None]) -> Path:
    """Return the cache's subfolder `name`, filled once even when several runs ask at the same time."""
    place = folder() / name
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(place.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _fill(place, fill)
    return place


def _fill(place: Path, fill: Callable[[Path], None]) -> None:
    name = place.relative_to(folder())
    part = place.with_name(place.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    _say(f"{name}: fetching")
    begin = time.perf_counter()
    try:
        fill(part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    _allow_reading(part)
    part.rename(place)
    _say(f"{name}: {_size(place) / 1e6:.0f} MB in {time.perf_counter() - begin:.1f} s")


def _allow_reading(top: Path) -> None:
    """Grant to all what the owner may read or execute: root's umask may be 077."""
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode & 0o777
            path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)


def _size(top: Path) -> int:
    return sum(path.lstat().st_size for path in top.rglob("*"))


def _say(line: str) -> None:
    sys.stderr.write(f"servers: {line}\n")
    sys.stderr.flush()
