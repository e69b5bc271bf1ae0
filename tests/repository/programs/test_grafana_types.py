"""The committed dashboards are made of nothing that one of Grafana's versions would refuse."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from testkit import Unavailable
from testkit.npm import installed
from testkit.session import Servers
from tests.support.panels import pages

SCHEMAS = ("schema-10", "schema-11", "schema-12", "schema-13")
# In JSON an enumeration's value is a plain text, which TypeScript does not take for the enumeration.
LITERAL = """
type Literal<T> = T extends string ? `${T}` : T extends (infer E)[] ? Literal<E>[]
  : T extends object ? { [K in keyof T]: Literal<T[K]> } : T;
"""


@pytest.fixture(scope="module")
def compiler(servers: Servers) -> Path:
    try:
        return installed(Path(__file__).parent / "grafana_schema")
    except Unavailable as reason:
        servers.skip("npm", str(reason))


def test_pages_fit_the_types_of_grafana(compiler: Path, tmp_path: Path) -> None:
    """The TypeScript compiler finds every page to be a Dashboard of each version."""
    literals = {stem: json.dumps(_without_prometheus_keys(page)) for stem, page in pages().items()}
    for schema in SCHEMAS:
        lines = [f'import type {{ Dashboard }} from "{schema}";', LITERAL]
        lines += [f"export const {stem}: Literal<Dashboard> = {literal};" for stem, literal in literals.items()]
        (tmp_path / f"{schema}.ts").write_text("\n".join(lines))
    (tmp_path / "node_modules").symlink_to(compiler / "node_modules")
    program = str(compiler / "node_modules/typescript/bin/tsc")
    options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
    sources = [f"{schema}.ts" for schema in SCHEMAS]

    done = subprocess.run(
        ["node", program, *options, *sources], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


def _without_prometheus_keys(page: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the schema does not know of: the keys that Prometheus' data source adds to an annotation."""
    own = {"expr", "step", "titleFormat", "textFormat"}
    listed = [
        {key: value for key, value in annotation.items() if key not in own}
        for annotation in page["annotations"]["list"]
    ]
    return {**page, "annotations": {"list": listed}}
