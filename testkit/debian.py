"""Programs of Debian packages, unpacked into the cache: nothing is installed, no service starts."""

import fcntl
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testkit import Unavailable
from testkit.cache import cached, folder

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "pgbouncer": "pgbouncer",
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "nginx": "nginx",
    "pgbackrest": "pgbackrest",
}
_SECONDS = 300
_FRESH_SECONDS = 3600.0  # how long a list of packages is believed


def program(name: str) -> Path:
    """Return a program of the machine, else one unpacked from its Debian package."""
    found = shutil.which(name)
    return Path(found) if found else unpacked(name)


def unpacked(name: str) -> Path:
    """Return a program out of its Debian package, with every library it needs beside it but the C library."""
    package = PACKAGES[name]
    place = cached(f"debian/{package}-{platform.machine()}", lambda part: _fill(package, part))
    [found] = (path for folder in ("bin", "sbin") for path in (place / "usr" / folder).glob(name))
    return found


def libraries(path: Path) -> str:
    """Return the folders of the libraries that lie beside an unpacked program, for LD_LIBRARY_PATH."""
    top = path.parents[2]
    return ":".join(
        str(found) for folder in ("lib", "usr/lib") for found in sorted((top / folder).glob("*-linux-gnu*"))
    )


def _fill(package: str, place: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable(f"there is no {package} on the PATH, and this is no Debian to take its package from")
    with _apt() as options:
        planned = _call(["apt-get", *options, "install", "--simulate", "--no-install-recommends", package], place)
        _call(["apt-get", *options, "download", "-qq", package, *_library_packages(planned)], place)
    for archive in place.glob("*.deb"):
        _call(["dpkg-deb", "--extract", str(archive), "."], place)
        archive.unlink()


def _library_packages(planned: str) -> list[str]:
    """Return the packages of compiled libraries among those that apt would install."""
    named = re.findall(r"^Inst (z?lib\S+) .*\[(\w+)\]\)", planned, re.MULTILINE)
    return [name for name, architecture in named if architecture != "all" and name != "libc6"]


@contextmanager
def _apt() -> Iterator[list[str]]:
    """Give one caller at a time apt's options for folders of our own.

    The system's lists and its locks are left alone, so neither root nor luck is needed. To apt no package is
    installed: it plans all that a program needs, whatever this machine has.
    """
    top = folder() / "debian" / "apt"
    (top / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (top / "installed").touch()
    places = {"State": top, "State::lists": top / "lists", "State::status": top / "installed", "Cache": top}
    options = ["-o", "APT::Sandbox::User=root"]
    options += [word for name, path in places.items() for word in ("-o", f"Dir::{name}={path}")]
    with (top / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        updated = top / "updated"
        if not updated.exists() or time.time() - updated.stat().st_mtime > _FRESH_SECONDS:
            _call(["apt-get", *options, "update", "-qq"], top)
            updated.touch()
        yield options


def _call(command: list[str], place: Path) -> str:
    try:
        return subprocess.run(command, cwd=place, check=True, capture_output=True, text=True, timeout=_SECONDS).stdout
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or "no message").splitlines()[-1]
        raise Unavailable(f"{_told(command)} failed: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{_told(command)} failed: {error}") from error


def _told(command: list[str]) -> str:
    return " ".join(word for word in command if word != "-o" and "=" not in word)
