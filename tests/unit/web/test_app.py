"""What is common to all paths: methods, statuses, headers, and no secrets."""

import pytest

from tests.support.app_client import AppClient
from tests.support.factories import Events, monitored_target

PATHS = [
    "/", "/metrics", "/probe?target=orders", "/sd", "/livez", "/startupz", "/readyz", "/health", "/health/groups/write",
    "/health/targets/orders", "/targets/orders",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_paths_answer_get_head_and_options(app_client: AppClient, path: str) -> None:
    """With the same status; probes of load balancers use all three."""
    app_client.poll("orders")
    app_client.poll("invoices")

    assert [app_client.status(path, method) for method in ("GET", "HEAD", "OPTIONS")] == [200, 200, 200]


@pytest.mark.parametrize("path", ["/readyz", "/startupz", "/health", "/health/groups/write", "/health/targets/orders"])
def test_failure_has_the_same_status_for_all_methods(app_client: AppClient, path: str) -> None:
    """Also for OPTIONS, the default check of HAProxy."""
    if path.startswith("/health"):
        app_client.fail("orders")

    assert [app_client.status(path, method) for method in ("GET", "HEAD", "OPTIONS")] == [503, 503, 503]


@pytest.mark.parametrize("path", PATHS)
def test_options_has_no_body(app_client: AppClient, path: str) -> None:
    answer = app_client.client.options(path)

    assert (answer.content, answer.headers["allow"]) == (b"", "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_responses_forbid_caching_and_sniffing(app_client: AppClient, path: str, method: str) -> None:
    headers = app_client.client.request(method, path).headers

    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert headers["date"].endswith(" GMT")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(app_client: AppClient, method: str) -> None:
    assert [app_client.status(path, method) for path in PATHS] == [405] * len(PATHS)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/docs", 404),
        ("/openapi.json", 404),
        ("/metrics/", 404),
        ("/health/", 404),
        ("/health/targets/nobody", 404),
        ("/health/groups/nobody", 404),
        ("/targets/nobody", 404),
        ("/targets", 404),
        ("/probe", 400),
        ("/probe?target=", 400),
        ("/probe?target=nobody", 404),
        ("/probe?target=postgresql://u@h/db", 404),
        ("/probe?target=orders&target=nobody", 404),
        ("/probe?target=Orders", 404),
        ("/probe/orders", 404),
        ("/probe?target=ord%00ers", 404),
        ("/sd/", 404),
        ("/-/reload", 405),
        ("/-/", 404),
        ("/health/targets/orders?max_lag=10", 400),
        ("/health/targets/orders?rolle=primary", 400),
    ],
)
def test_unknown_paths_and_parameters_are_rejected(app_client: AppClient, path: str, status: int) -> None:
    """No path redirects: HAProxy would take that for a healthy response."""
    assert app_client.status(path) == status


def test_no_page_shows_a_secret(app_client: AppClient) -> None:
    """Neither a password, nor an address, nor a message of a server."""
    app_client.fail("orders")
    app_client.publish(Events(monitored_target("invoices")).failed_result(1.0))
    pages = [app_client.client.get(path).text for path in [*PATHS, "/health/targets/nobody", "/nothing"]]

    assert not [page for page in pages if "hunter22" in page or "@h" in page or "db1.example" in page]


def test_start_page_links_to_the_others(app_client: AppClient) -> None:
    answer = app_client.client.get("/")

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert all(f'href="{path}"' in answer.text for path in ("/metrics", "/health", "/livez", "/startupz", "/readyz"))
