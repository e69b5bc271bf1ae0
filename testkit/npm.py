"""Packages of the npm registry, installed once into the cache from a lock file."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from testkit import Unavailable
from testkit.cache import cached

_SECONDS = 600


def installed(project: Path) -> Path:
    """Return a folder with what the project's package-lock.json names; raise Unavailable where it cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("there is no npm on the PATH")
    lock = project / "package-lock.json"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]

    def fill(place: Path) -> None:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy2(project / name, place / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        try:
            subprocess.run(command, cwd=place, check=True, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.SubprocessError as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise Unavailable(f"npm could not install {project.name}: {said[-1] if said else error}") from error

    return cached(f"npm/{project.name}-{digest}", fill)
