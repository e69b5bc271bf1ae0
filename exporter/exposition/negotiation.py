"""Content negotiation with the Prometheus servers in use."""

from collections.abc import Iterator

from exporter.exposition.text_format import Format


def choose_format(accept: str) -> tuple[Format, str]:
    """Return the best format for an Accept header, by q-value, and its content type; text is the default."""
    best: tuple[float, Format] = (0.0, "text")
    for media, params in _entries(accept):
        quality = _quality(params)
        if media == "application/openmetrics-text" and params.get("version", "1.0.0") in ("1.0.0", "0.0.1"):
            best = max(best, (quality, "openmetrics"), key=lambda entry: entry[0])
        elif media in ("text/plain", "text/*", "*/*") and params.get("version", "0.0.4") == "0.0.4":
            best = max(best, (quality, "text"), key=lambda entry: entry[0])
    escaping = "; escaping=underscores" if "escaping=" in accept else ""
    if best[1] == "openmetrics":
        return "openmetrics", f"application/openmetrics-text; version=1.0.0; charset=utf-8{escaping}"
    return "text", f"text/plain; version=0.0.4; charset=utf-8{escaping}"


def accepts_gzip(accept_encoding: str) -> bool:
    qualities = {coding: _quality(params) for coding, params in _entries(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _entries(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    for entry in header.lower().split(","):
        media, *params = (part.strip() for part in entry.split(";"))
        pairs = (param.partition("=") for param in params)
        yield media, {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def _quality(params: dict[str, str]) -> float:
    try:
        return float(params.get("q", "1"))
    except ValueError:
        return 0.0
