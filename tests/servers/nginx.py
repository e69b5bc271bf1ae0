"""nginx with locations of the test's own."""

import socket

from tests.servers.debian import libraries, program
from tests.servers.machine import hand_over
from tests.servers.process import Process, free_port


class Nginx(Process):
    """One nginx; `locations` are what its only server holds."""

    def __init__(self, locations: str) -> None:
        super().__init__("nginx")
        self.port = free_port()
        self._locations = locations

    def _prepare(self) -> None:
        temporary = "".join(
            f"{kind}_temp_path {kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}server {{\nlisten 127.0.0.1:{self.port};\n{self._locations}}}\n}}\n"
        )
        hand_over(self.folder)

    def _environment(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": libraries(program("nginx"))}

    def _command(self) -> list[str]:
        return [str(program("nginx")), "-p", str(self.folder), "-c", "nginx.conf", "-e", "stderr"]

    def _ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
