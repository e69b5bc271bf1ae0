"""Real dumps of Neo4j: whole they are good, cut at every 1 % they are not."""

import subprocess
from pathlib import Path

import pytest

from testkit.machine import clean_environment
from testkit.neo4j import Neo4j
from testkit.neo4j_programs import VERSIONS, jars, java
from testkit.session import Servers
from tests.support.cuts import passing, told

NODES = "UNWIND range(1, 20000) AS i CREATE (:Document {id: i, text: 'document number ' + i, score: rand()})"


def dumped(server: Neo4j, version: str, folder: Path) -> bytes:
    """Stop a server and dump its database."""
    server.stop()
    program = [java(version), "-Xmx512m", "-cp", f"{jars(version)}/*", "org.neo4j.cli.AdminTool"]
    command = [*program, "database", "dump", "neo4j", f"--to-path={folder}"]
    where = {"NEO4J_HOME": str(server.folder), "NEO4J_CONF": str(server.folder / "conf")}
    subprocess.run(command, env=clean_environment(server.folder) | where, check=True, capture_output=True)
    return (folder / "neo4j.dump").read_bytes()


@pytest.mark.parametrize("version", VERSIONS)
async def test_whole_dump_is_good_and_cut_one_truncated(servers: Servers, version: str, tmp_path: Path) -> None:
    with servers.private_neo4j(version) as server:
        server.run(NODES)
        data = dumped(server, version, tmp_path)

    for chosen in ("neo4j", "auto"):
        assert (await told(data, chosen)).good
        assert await passing(data, chosen) == []
