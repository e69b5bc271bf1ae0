"""Unpack wheels from the Python package index into a folder, with whichever installer the machine has."""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testkit import Unavailable

SECONDS = 900


def unpack_wheel(requirement: str, place: Path) -> None:
    """Unpack the wheel of `requirement`, without its dependencies, into `place`."""
    with tempfile.TemporaryDirectory(prefix="datatier-pip-") as scratch:
        command = [*_installer(Path(scratch)), "--quiet", "--no-deps", "--only-binary=:all:"]
        _call([*command, "--target", str(place), requirement], f"the wheel {requirement} cannot be had")


def install(requirements: list[str], place: Path, python: str) -> None:
    """Install packages with all they depend on into `place`, for an interpreter that may be another than ours."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--target", str(place)]
    _call([*command, *requirements], f"{requirements[0]} cannot be had")


def _installer(scratch: Path) -> list[str]:
    """Return the start of an install command; a wheel of programs does not care which Python unpacks it."""
    uv = shutil.which("uv")
    if importlib.util.find_spec("pip"):
        python = sys.executable
    elif uv:
        return [uv, "pip", "install", "--python-version", "3.12"]
    else:
        python = _python_with_pip(scratch)
    return [
        python,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-compile",
        "--ignore-requires-python",
    ]


def _python_with_pip(scratch: Path) -> str:
    _call([sys.executable, "-m", "venv", str(scratch / "venv")], "neither pip nor uv nor a venv with pip")
    return str(scratch / "venv" / "bin" / "python")


def _call(command: list[str], failure: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or error.stdout.strip() or "no message").splitlines()[-1]
        raise Unavailable(f"{failure}: {last}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{failure}: {error}") from error
