"""A flood of wrong passwords against a running exporter."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Event

from tests.support.commands import closed
from tests.support.exporter_process import Exporter
from tests.support.factories import basic_auth, hashed, write


def test_flood_of_wrong_passwords_delays_no_other_client(tmp_path: Path) -> None:
    """50 at once from another address, while users authenticate for the first time since the start."""
    users = {f"user{n}": hashed(f"right{n}", 9).get_secret_value() for n in range(4)}
    web = write(tmp_path / "web.yml", f"basic_auth_users: {users}\n")
    over = Event()
    with Exporter(closed("qdrant"), web={"config_file": str(web)}) as exporter, ThreadPoolExecutor(50) as pool:

        def status(source: str, user: str, password: str) -> int:
            connection = HTTPConnection("127.0.0.1", exporter.port, timeout=20, source_address=(source, 0))
            with closing(connection):
                connection.request("GET", "/metrics", headers=basic_auth(user, password))
                return connection.getresponse().status

        def flood(number: int) -> list[int]:
            found = []
            while not over.wait(0.1):
                found.append(status("127.0.0.2", "user0", f"wrong{number}"))
            return found

        floods = [pool.submit(flood, number) for number in range(50)]
        found = [status("127.0.0.1", user, user.replace("user", "right")) for user in users if not over.wait(0.1)]
        over.set()
        flooded = {status for each in floods for status in each.result()}

    assert found == [200] * 4
    assert flooded == {401, 503}
