"""Programs of Debian packages, unpacked into the cache: nothing is installed, no service starts."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from tests.servers import Unavailable
from tests.servers.cache import cached

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
}
_SECONDS = 300


def program(name: str) -> Path:
    """Return a program of the machine, else one unpacked from its Debian package."""
    found = shutil.which(name)
    if found:
        return Path(found)
    package = PACKAGES[name]
    place = cached(f"debian-{package}-{platform.machine()}", lambda part: _unpack(package, part))
    return place / "usr" / "bin" / name


def _unpack(package: str, place: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable(f"there is no {package} on the PATH, and this is no Debian to take its package from")
    if os.geteuid() == 0:
        _call(["apt-get", "update", "-qq"], place)
    _call(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package], place)
    (archive,) = place.glob("*.deb")
    _call(["dpkg-deb", "--extract", str(archive), "."], place)
    archive.unlink()


def _call(command: list[str], place: Path) -> None:
    try:
        subprocess.run(command, cwd=place, check=True, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "no message").splitlines()[-1]
        raise Unavailable(f"{' '.join(command[:2])} failed: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command[:2])} failed: {error}") from error
