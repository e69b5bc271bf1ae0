"""How our own statements are told from everyone else's; operations need it without the driver."""

from collections.abc import Mapping
from types import MappingProxyType

APP = "datatier-exporter"  # in a transaction's metadata
MARKER = f"/* {APP} */ "  # before a statement's text, where the server's statistics keep it
NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})
