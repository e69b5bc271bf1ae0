"""Let what is started here find compiled modules, as an installed package has them, wherever they may be written."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from bench.machine import ROOT

_IMPORTS = """
import exporter.cli, exporter.web.server
from exporter.config.stores import STORES
from exporter.datastores import load_client
for store in STORES:
    load_client(store)
"""


@contextmanager
def compiled_modules() -> Iterator[None]:
    """Compile what the exporter imports into a temp folder, for the processes started meanwhile."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="datatier-bench-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        try:
            subprocess.run([sys.executable, "-c", _IMPORTS], cwd=ROOT, check=True)
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
