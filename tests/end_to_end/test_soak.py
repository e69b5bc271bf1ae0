"""Bad days for a minute; `python -m bench soak` makes 10,000 polls of them."""

import pytest

from testkit.session import Servers
from tests.support.soak import soaking


@pytest.mark.slow
@pytest.mark.servers("postgres:18", "neo4j:5.26", "minio:1", "qdrant")
def test_exporter_after_bad_days_holds_what_it_held_before(servers: Servers) -> None:
    """Four stores fail and return at random: when all is calm again, the exporter holds what it held before."""
    watched = {
        "orders": servers.postgres("18"),
        "graph": servers.neo4j("5.26"),
        "objects": servers.minio(1),
        "search": servers.qdrant(),
    }
    with soaking(watched, "3s", seed=5) as soak:
        soak.bad_days(40)
        before = soak.calm()
        soak.bad_days(60)
        after = soak.calm()
        code = soak.exporter.stop()

    assert after.polls >= before.polls + 60
    assert after.tasks <= before.tasks + 2
    assert after.sockets <= before.sockets + 2
    assert after.files <= before.files + 3
    assert after.threads <= before.threads + 3
    assert after.rss_mib <= 1.2 * before.rss_mib
    assert code == 0
    assert "Traceback" not in soak.exporter.last_log
