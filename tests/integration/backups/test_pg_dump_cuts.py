"""Real dumps of every version of PostgreSQL: whole they are good, cut anywhere they are not."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from testkit.machine import clean_environment
from testkit.postgres_programs import VERSIONS, fetch
from testkit.session import Servers
from tests.support.cuts import cuts, passing, told, told_of

pytestmark = pytest.mark.servers("postgres:14", "postgres:15", "postgres:16", "postgres:17", "postgres:18")

PASSWORD = {"PGPASSWORD": "postgres-secret"}  # pg_dumpall does not pass on that of its URL
DATABASE = "dumped"
TABLES = """
    CREATE TABLE orders AS
        SELECT g AS id, md5(g::text) AS name, repeat('x', 200) AS note FROM generate_series(1, 6000) g;
    CREATE TABLE repeated AS SELECT repeat('a', 50000) AS text FROM generate_series(1, 60);
    CREATE TABLE nothing (id int);
    CREATE TABLE small (id int PRIMARY KEY, name text);
    INSERT INTO small SELECT g, 'row ' || g FROM generate_series(1, 50) g;
    SELECT lo_from_bytea(0, decode(repeat('00ff', 5000), 'hex')) FROM generate_series(1, 3);
    SELECT lo_create(0);
"""
FILES: Mapping[str, tuple[str, ...]] = {
    "custom": ("-Fc",),
    "custom, packed most": ("-Fc", "-Z9"),
    "custom, not packed": ("-Fc", "-Z0"),
    "custom, schema alone": ("-Fc", "--schema-only"),
    "tar": ("-Ft",),
    "plain": ("-Fp",),
    "plain, schema alone": ("-Fp", "--schema-only"),
    "plain, packed": ("-Fp", "-Z6"),
}
NEWER: Mapping[str, tuple[str, ...]] = {"custom, lz4": ("-Fc", "-Zlz4"), "custom, zstd": ("-Fc", "-Zzstd")}


class Dumps:
    """The programs of one version, run against its server."""

    def __init__(self, version: str, servers: Servers, folder: Path) -> None:
        self.version = version
        self.folder = folder
        self._server = servers.postgres(version)
        self._server.psql(f"DROP DATABASE IF EXISTS {DATABASE}")
        self._server.psql(f"CREATE DATABASE {DATABASE}")
        self._server.psql(TABLES, DATABASE)

    def command(self, *options: str, program: str = "pg_dump") -> list[str]:
        database = DATABASE if program == "pg_dump" else "postgres"
        return [str(fetch(self.version) / "bin" / program), "-d", self._server.dsn(database), *options]

    def piped(self, *options: str, program: str = "pg_dump") -> bytes:
        command = self.command(*options, program=program)
        done = subprocess.run(command, capture_output=True, check=False, env=clean_environment(self.folder) | PASSWORD)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def file(self, *options: str) -> bytes:
        path = self.folder / "file"
        self.piped("-f", str(path), *options)
        return path.read_bytes()

    def directory(self, *options: str) -> dict[str, bytes]:
        path = self.folder / str(time.monotonic_ns())
        self.piped("-Fd", "-f", str(path), *options)
        return {f"apex/{file.name}": file.read_bytes() for file in path.iterdir()}

    def drop(self) -> None:
        self._server.psql(f"DROP DATABASE {DATABASE}")


@pytest.fixture(scope="module", params=sorted(VERSIONS))
def dumps(
    request: pytest.FixtureRequest, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dumps]:
    made = Dumps(request.param, servers, tmp_path_factory.mktemp("dumps"))
    yield made
    made.drop()


def shapes(dumps: Dumps) -> dict[str, bytes]:
    options = {**FILES, **(NEWER if int(dumps.version) >= 16 else {})}
    files = {name: dumps.file(*words) for name, words in options.items()}
    files["custom, piped"] = dumps.piped("-Fc")
    files["custom, piped, not packed"] = dumps.piped("-Fc", "-Z0")
    files["tar, piped"] = dumps.piped("-Ft")
    files["cluster"] = dumps.piped(program="pg_dumpall")
    files["globals"] = dumps.piped("--globals-only", program="pg_dumpall")
    return files


async def test_whole_dump_is_good_and_cut_one_truncated(dumps: Dumps) -> None:
    """Every 1 %, by chance, and by the last bytes: whoever copies a dump may stop at any."""
    for name, data in shapes(dumps).items():
        whole = await told(data, "pg_dump")

        assert whole.good, (name, whole.problem)
        assert await passing(data, "pg_dump") == [], name
        assert (await told(data)).good
        assert await passing(data, "auto") == [], name


async def test_header_tells_when_a_dump_was_made(dumps: Dumps) -> None:
    for data in (dumps.file("-Fc"), dumps.piped("-Fc"), dumps.file("-Ft")):
        assert (await told(data)).time == pytest.approx(time.time(), abs=60)

    assert (await told_of(dumps.directory())).time == pytest.approx(time.time(), abs=60)


async def test_directory_is_good_only_with_all_its_files(dumps: Dumps) -> None:
    """Each file is missed, and so is the end of each that is not of a large object."""
    newer = (("-Zlz4",), ("-Zzstd",)) if int(dumps.version) >= 16 else ()
    for options in (("-j2",), ("-Z0",), *newer):
        files = dumps.directory(*options)
        whole = await told_of(files)
        assert whole.good, (options, whole.problem)
        assert whole.bytes == sum(map(len, files.values()))

        for name, data in files.items():
            without = await told_of({other: files[other] for other in files if other != name})
            assert without.problem is not None, (options, name)
            assert without.problem.reason == "truncated"
            if name.startswith("apex/blob"):
                continue
            for length in (0, *cuts(len(data), 5)):
                cut = await told_of({**files, name: data[:length]})
                assert cut.problem is not None, (options, name, length)


@pytest.mark.parametrize("form", ["c", "d", "t", "p"])
async def test_killed_dump_is_not_good(dumps: Dumps, form: str) -> None:
    """It is killed as soon as there is something of it; one that ended before proves nothing."""
    for words in (("-Z0",) if form in "cd" else (), ()):
        path = dumps.folder / f"killed{time.monotonic_ns()}"
        if not killed(dumps.command(f"-F{form}", "-f", str(path), *words), path, dumps.folder):
            continue
        files = {f"apex/{file.name}": file.read_bytes() for file in path.iterdir()} if path.is_dir() else {}
        if path.is_dir() and (not files or "apex/toc.dat" in files):
            continue

        backup = await (told_of(files) if path.is_dir() else told(path.read_bytes(), "pg_dump"))

        assert backup.problem is not None
        assert backup.problem.reason in {"truncated", "empty"}


def killed(command: list[str], path: Path, folder: Path) -> bool:
    """Kill a program once its output is there; tell whether it had not ended by itself."""
    with subprocess.Popen(command, env=clean_environment(folder), stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (path.exists() and (path.is_dir() or path.stat().st_size)):
            time.sleep(0.001)
        process.kill()
    return process.returncode != 0
