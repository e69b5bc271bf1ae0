"""The repository checks itself: what is declared, documented, packaged and promised agrees."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from docs.make_metrics import page
from exporter.config.stores import STORES
from exporter.queries.core_metrics import CORE_METRICS
from exporter.queries.query import Query
from exporter.settings import read_queries
from tests.support.paths import ROOT

MODULES = sorted((ROOT / "exporter").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
UNIT = ROOT / "tests" / "unit"


def tracked() -> list[Path]:
    """Name the files that are in version control, or would be at the next commit."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


@pytest.fixture(scope="module")
def queries() -> tuple[Query, ...]:
    return read_queries(STORES)


def test_a_store_has_the_same_stem_everywhere() -> None:
    """A store is a package, its queries, a dashboard and rules; PgBouncer shares those of PostgreSQL."""
    wanted = [
        path
        for store, described in STORES.items()
        for path in (
            f"exporter/datastores/{store}/datastore.py",
            f"queries/{store}",
            f"dashboards/{described.dashboard}.json",
            f"alerts/rules/{described.dashboard}.yaml",
        )
    ]

    assert [path for path in wanted if not (ROOT / path).exists()] == []


def test_query_folders_belong_to_stores() -> None:
    """No folder of queries is orphaned, and every store has some."""
    folders = {path.name for path in (ROOT / "queries").iterdir() if any(path.glob("*.yaml"))}

    assert folders == set(STORES)


def test_metric_names_tell_their_store(queries: tuple[Query, ...]) -> None:
    """A metric of a store carries its prefix; what feeds a core metric carries the core's."""
    strangers = [
        f"{query.store}/{query.name}: {metric.name}"
        for query in queries
        for metric in query.metrics
        if metric.name not in CORE_METRICS and not metric.name.startswith(STORES[query.store].prefixes)
    ]

    assert strangers == []


def test_a_metric_is_written_once(queries: tuple[Query, ...]) -> None:
    """One grep finds where a metric comes from."""
    text = "\n".join(path.read_text() for path in (ROOT / "queries").rglob("*.yaml"))
    written = Counter(re.findall(r"^  ([a-zA-Z_:][\w:]*):", text, re.MULTILINE))
    names = {metric.name for query in queries for metric in query.metrics} - CORE_METRICS.keys()

    assert {name: written[name] for name in names if written[name] != 1} == {}


def test_help_is_a_sentence(queries: tuple[Query, ...]) -> None:
    """HELP says something, and ends as a sentence does."""
    metrics = [core.metric for core in CORE_METRICS.values()]
    metrics += [metric for query in queries for metric in query.metrics]
    poor = [metric.name for metric in metrics if not metric.help.strip().endswith(".") or len(metric.help) < 12]

    assert poor == []


def test_docs_of_metrics_are_current() -> None:
    """docs/metrics.md is what `make docs` would write."""
    assert (ROOT / "docs" / "metrics.md").read_text() == page()


def test_modules_are_small() -> None:
    """A module of the product holds one idea, a file of tests one subject: 300 lines at the very most."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in (*MODULES, *TESTS)}

    assert {path: lines for path, lines in lengths.items() if lines > 300} == {}


def test_nothing_imports_from_a_test() -> None:
    """What several tests need lies in tests/support."""
    modules = [*TESTS, *(path for kit in ("testkit", "bench", "deploy", "docs") for path in (ROOT / kit).rglob("*.py"))]
    importing = re.compile(r"^\s*(?:from|import) \S*(?:\btest_\w+|conftest)\b", re.MULTILINE)

    assert [str(path.relative_to(ROOT)) for path in modules if importing.search(path.read_text())] == []


def test_unit_tests_lie_as_the_modules_do() -> None:
    """A file is tests/unit/<package>/test_<module>.py, or test_<module>_<subject>.py; fuzz/ alone spans packages."""
    modules = {path.relative_to(ROOT / "exporter").with_suffix("") for path in MODULES}
    files = [path.relative_to(UNIT) for path in UNIT.rglob("test_*.py") if path.parent.name != "fuzz"]
    lost = [str(file) for file in files if not any(_is_test_of(file, module) for module in modules)]

    assert files
    assert lost == []


def _is_test_of(file: Path, module: Path) -> bool:
    """Return whether the file has the module's folder, and its name or one that begins with it."""
    return file.parent == module.parent and f"{file.stem}_".startswith(f"test_{module.name}_")


def test_imports_go_one_way() -> None:
    """No module imports one that imports it, not even for its types alone."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}
    imported: dict[str, set[str]] = {}
    for name, path in names.items():
        found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        wanted = {f"{node.module}.{alias.name}" for node in found for alias in node.names}
        imported[name] = (wanted | {str(node.module) for node in found}) & names.keys() - {"exporter", name}

    order = list(TopologicalSorter(imported).static_order())  # raises CycleError, which names the modules

    assert order.index("exporter.state.checks") < order.index("exporter.state.snapshot")


def test_failures_are_caught_in_one_place() -> None:
    """Only execution.within_deadline catches everything; the service, when it crashes, ends.

    A place of backups also keeps what fails in a look at one set from the others, and brings home what failed in a
    thread.
    """
    blanket = {
        f"{path.relative_to(ROOT)}:{type(node).__name__}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Try | ast.TryStar)
        for handler in node.handlers
        if (handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in BLANKET))
        and not _passes_on(handler)
    }

    assert blanket == {
        "exporter/polling/execution.py:Try",
        "exporter/service.py:TryStar",
        "exporter/datastores/backups/set_look.py:Try",
        "exporter/datastores/backups/places/file_threads.py:Try",
    }


BLANKET = ("Exception", "BaseException")


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Tell whether a handler only tidies up: it ends in a bare raise."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_clients_of_stores_are_imported_only_when_needed() -> None:
    """Serving and reading all query files loads no store's client, each up to 75 MiB, and no templates."""
    code = (
        "import sys, exporter.web.server\n"
        "from exporter.config.stores import STORES\n"
        "from exporter.settings import read_queries\n"
        "read_queries(STORES)\n"
        "print(sorted({'asyncpg', 'neo4j', 'minio', 'qdrant_client', 'psycopg', 'jinja2'} & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


def test_locks_hold_every_dependency() -> None:
    """Each dependency of pyproject.toml is pinned with its hash in the lock files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[^A-Za-z0-9-]", entry)[0].lower() for entry in project["dependencies"]}

    for lock in ("deploy/requirements.txt", "deploy/demo-requirements.txt", "tests/requirements.txt"):
        pinned = set(re.findall(r"^([a-z0-9-]+)(?:\[[^]]+\])?==", (ROOT / lock).read_text(), re.MULTILINE))
        assert names - pinned == set(), lock
        assert "--hash=sha256:" in (ROOT / lock).read_text()


def test_dockerfile_copies_what_is_there_and_runs_as_nobody() -> None:
    """What can be checked without an engine: sources exist and are let through, a user, a health check."""
    text = (ROOT / "Dockerfile").read_text()
    ignore = (ROOT / ".dockerignore").read_text()
    copied = [
        source for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for source in line.split()[:-1]
    ]

    assert copied
    assert [source for source in copied if not (ROOT / source).exists() or f"!{source}" not in ignore] == []
    assert re.search(r"^USER (?!0\b|root\b)\d+", text, re.MULTILINE)
    assert re.search(r"HEALTHCHECK.*\n.*/livez", text)


def test_tree_holds_no_path_of_a_machine_and_no_registry() -> None:
    """No home folder and no registry's address is in any file: they would work on one machine only."""
    forbidden = re.compile("/" + r"(root|work|home)/|(pypi|pythonhosted|npmjs|maven|golang|crates)" + r"\.(org|io)\b")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if path.suffix not in {".json", ".png"}
        for match in [forbidden.search(path.read_text(errors="replace"))]
        if match and path != Path(__file__)
    ]

    assert found == []
