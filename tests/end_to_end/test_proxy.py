"""The proxy that makes a real server slow, silent or broken."""

import time
import urllib.error
import urllib.request
from http.client import HTTPException

import pytest

from testkit.proxy import Proxy
from testkit.session import Servers


@pytest.mark.servers("minio:1")
def test_proxy_passes_delays_and_breaks(servers: Servers) -> None:
    """Every fault shows at the client, and ends with `restore`."""
    server = servers.minio(1)

    with Proxy(server.port) as proxy:
        assert get_live(proxy) == "ok"
        proxy.delay(0.2)
        begin = time.perf_counter()
        assert get_live(proxy) == "ok"
        assert time.perf_counter() - begin > 0.4  # once there, once back
        proxy.delay(0.2, answers_only=True)
        begin = time.perf_counter()
        assert get_live(proxy) == "ok"
        assert time.perf_counter() - begin > 0.2
        proxy.restore()
        proxy.cut(10)
        assert get_live(proxy) == "BadStatusLine"
        proxy.restore()
        proxy.blackhole()
        assert get_live(proxy) == "TimeoutError"
        proxy.restore()
        proxy.refuse()
        assert get_live(proxy) == "ConnectionRefusedError"
        proxy.restore()
        proxy.reset()
        assert get_live(proxy) == "ConnectionResetError"
        proxy.restore()
        assert get_live(proxy) == "ok"


def get_live(proxy: Proxy) -> str:
    """Return "ok" or the name of what went wrong."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/minio/health/live", timeout=1):
            return "ok"
    except urllib.error.URLError as error:
        return type(error.reason).__name__
    except (OSError, HTTPException) as error:
        return type(error).__name__
