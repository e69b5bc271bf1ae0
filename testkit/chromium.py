"""A real Chromium without a window, driven over WebDriver: what people see, measured and photographed."""

import base64
import http.client
import json
import shutil
from typing import Any, Self

from testkit import Unavailable
from testkit.process import Process, free_port

_SECONDS = 60
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


class Chromium(Process):
    """The browser and its driver, from the PATH alone: what it needs is too much to unpack beside a system."""

    def __init__(self) -> None:
        missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
        if missing:
            names = " and no ".join(missing)
            raise Unavailable(f"there is no {names} on the PATH; on Debian: apt-get install chromium chromium-driver")
        super().__init__("chromium")
        self._port = free_port()
        self._session = ""

    def start(self) -> Self:
        super().start()
        options = {"args": [*_QUIET, f"--user-data-dir={self.folder / 'profile'}"], "binary": shutil.which("chromium")}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"
        return self

    def stop(self, seconds: float = 20.0) -> None:
        if self._session and self.pid is not None:
            self._call("DELETE", self._session)
        self._session = ""
        super().stop(seconds)

    def appear(self, width: int, height: int, scheme: str = "light") -> None:
        """Be a screen of so many pixels, of somebody who prefers light or dark."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self._devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def let_scripts_run(self, *, allowed: bool) -> None:
        self._devtools("Emulation.setScriptExecutionDisabled", value=not allowed)

    def open(self, url: str) -> None:
        self._call("POST", f"{self._session}/url", {"url": url})

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        body = {"script": f"return {expression}", "args": []}
        return self._call("POST", f"{self._session}/execute/sync", body)

    def picture(self) -> bytes:
        """Return the whole page as PNG, what one would have to scroll to included."""
        size = self._devtools("Page.getLayoutMetrics")["cssContentSize"]
        beyond = size["height"] > self.evaluate("innerHeight")  # what scrolls in itself may then be missing
        shot = self._devtools("Page.captureScreenshot", captureBeyondViewport=beyond, clip={**size, "scale": 1})
        return base64.b64decode(shot["data"])

    def complaints(self) -> list[str]:
        """Return what was written to the console since last asked: errors, refusals, warnings."""
        return [entry["message"] for entry in self._call("POST", f"{self._session}/se/log", {"type": "browser"})]

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self._call("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(f"{method} {path}: {value['error']}: {value['message']}")
        return value

    def _command(self) -> list[str]:
        return [str(shutil.which("chromedriver")), f"--port={self._port}", "--allowed-ips=127.0.0.1"]

    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder)}

    def _ready(self) -> bool:
        return bool(self._call("GET", "/status")["ready"])
