"""Targets from environment variables alone, under the names people already set for their clients and exporters."""

from collections.abc import Mapping

from exporter.config.stores import STORES

# Stores that share a dashboard, such as a server and its pooler, stand together.
_DASHBOARDS = [store.dashboard for store in STORES.values()]
_STORES = sorted(STORES.values(), key=lambda store: _DASHBOARDS.index(store.dashboard))

URLS = ", ".join(store.variables["url"][0] for store in _STORES if store.variables)


def target_settings(environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a target's settings for each store whose URL is set, named after it: postgres, postgres-2 and so on."""
    found = []
    for store in _STORES:
        settings = {
            key: environment[name]
            for key, names in store.variables.items()
            for name in reversed(names)
            if environment.get(name)
        }
        for number, url in enumerate(store.urls(environment, settings.get("url", "")), 1):
            name = store.name if number == 1 else f"{store.name}-{number}"
            found.append({"name": name, "store": store.name, **settings, "url": url})
    return found


def variable(store: str, key: str, environment: Mapping[str, str]) -> str:
    """Name the variable that a target's setting came from; the store where it came from none."""
    known = STORES[store]
    names = (*known.variables.get(key, ()), *([known.address_variable] if key == "url" else ()))
    return next((name for name in names if environment.get(name)), store)
