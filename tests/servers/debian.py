"""Programs of Debian packages, unpacked into the cache: nothing is installed, no service starts."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from tests.servers import Unavailable
from tests.servers.cache import cached

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "pgbouncer": "pgbouncer",
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "nginx": "nginx",
}
WITH_LIBRARIES = {"pgbouncer", "haproxy", "nginx"}  # programs that need more of them than every Debian has
_SECONDS = 300


def program(name: str) -> Path:
    """Return a program of the machine, else one unpacked from its Debian package."""
    found = shutil.which(name)
    if found:
        return Path(found)
    package = PACKAGES[name]
    place = cached(
        f"debian-{package}-{platform.machine()}", lambda part: _fill(package, part, libraries=name in WITH_LIBRARIES)
    )
    [found_here] = (path for folder in ("bin", "sbin") for path in (place / "usr" / folder).glob(name))
    return found_here


def libraries(path: Path) -> str:
    """Return the folders of the libraries that lie beside an unpacked program, for LD_LIBRARY_PATH."""
    return ":".join(str(folder) for folder in sorted((path.parent.parent / "lib").glob("*-linux-gnu*")))


def _fill(package: str, place: Path, *, libraries: bool) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable(f"there is no {package} on the PATH, and this is no Debian to take its package from")
    if os.geteuid() == 0:
        _call(["apt-get", "update", "-qq"], place)
    needed = _unpack([package], place)
    if libraries:
        _unpack([name for name in needed if name.startswith("lib") and name != "libc6"], place)


def _unpack(packages: list[str], place: Path) -> list[str]:
    """Download and unpack packages; name the packages that they depend on."""
    _call(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *packages], place)
    needed = []
    for archive in place.glob("*.deb"):
        depends = _call(["dpkg-deb", "--field", str(archive), "Depends"], place)
        needed += [re.split(r"[\s(|]", entry.strip())[0] for entry in depends.split(",")]
        _call(["dpkg-deb", "--extract", str(archive), "."], place)
        archive.unlink()
    return needed


def _call(command: list[str], place: Path) -> str:
    try:
        return subprocess.run(command, cwd=place, check=True, capture_output=True, text=True, timeout=_SECONDS).stdout
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "no message").splitlines()[-1]
        raise Unavailable(f"{' '.join(command[:2])} failed: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command[:2])} failed: {error}") from error
