"""Targets from environment variables alone, under the names people already set for their clients and exporters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from exporter.config.libpq.conninfo import split_targets
from exporter.config.secret_files import read_file
from exporter.errors import ConfigError

_STORES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "postgres": {
        "url": ("POSTGRES_URL", "DATA_SOURCE_NAME"),
        "password": ("POSTGRES_PASSWORD", "DATA_SOURCE_PASS", "PGPASSWORD"),
        "password_file": ("POSTGRES_PASSWORD_FILE", "DATA_SOURCE_PASS_FILE"),
    },
    "pgbouncer": {
        "url": ("PGBOUNCER_URL",),
        "password": ("PGBOUNCER_PASSWORD",),
        "password_file": ("PGBOUNCER_PASSWORD_FILE",),
    },
    "qdrant": {
        "url": ("QDRANT_URL",),
        "api_key": ("QDRANT_API_KEY",),
        "api_key_file": ("QDRANT_API_KEY_FILE",),
    },
    "neo4j": {
        "url": ("NEO4J_URL", "NEO4J_URI"),
        "user": ("NEO4J_USER", "NEO4J_USERNAME"),
        "password": ("NEO4J_PASSWORD",),
        "password_file": ("NEO4J_PASSWORD_FILE",),
    },
    "minio": {
        "url": ("MINIO_URL",),
        "access_key": ("MINIO_ACCESS_KEY", "MINIO_ROOT_USER"),
        "access_key_file": ("MINIO_ACCESS_KEY_FILE",),
        "secret_key": ("MINIO_SECRET_KEY", "MINIO_ROOT_PASSWORD"),
        "secret_key_file": ("MINIO_SECRET_KEY_FILE",),
    },
}

URLS = ", ".join(f"{store.upper()}_URL" for store in _STORES)


def target_settings(environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a target's settings for each store whose URL is set, named after it: postgres, postgres-2 and so on."""
    found = []
    for store, variables in _STORES.items():
        settings = {
            key: environment[name]
            for key, names in variables.items()
            for name in reversed(names)
            if environment.get(name)
        }
        address = (
            _own_or_file(environment, "DATA_SOURCE_URI") if store == "postgres" and "url" not in settings else None
        )
        if address:
            settings["url"] = f"postgresql://{_login(environment)}{address}"
        for number, url in enumerate(_urls(store, settings.get("url", "")), 1):
            name = store if number == 1 else f"{store}-{number}"
            found.append({"name": name, "store": store, **settings, "url": url})
    return found


def _urls(store: str, text: str) -> Sequence[str]:
    """Return the URLs of a variable: postgres_exporter's may name several servers."""
    return split_targets(text) if store == "postgres" else [text] if text else []


def variable(store: str, key: str, environment: Mapping[str, str]) -> str:
    """Name the variable that a target's setting came from, or the store where it came from none."""
    names = (*_STORES[store].get(key, ()), *(["DATA_SOURCE_URI"] if key == "url" else ()))
    return next((name for name in names if environment.get(name)), store)


def _login(environment: Mapping[str, str]) -> str:
    """Return the user that postgres_exporter has apart from host:port/database, as it goes before them."""
    user = _own_or_file(environment, "DATA_SOURCE_USER")
    return f"{quote(user, safe='')}@" if user else ""


def _own_or_file(environment: Mapping[str, str], name: str) -> str | None:
    """Return a variable, or the text of the file that NAME_FILE names; raise ConfigError where that cannot be read."""
    file = environment.get(f"{name}_FILE")
    if environment.get(name) or not file:
        return environment.get(name)
    try:
        return read_file(Path(file))
    except ValueError as error:
        raise ConfigError([f"environment: {name}_FILE: {error}"]) from None
