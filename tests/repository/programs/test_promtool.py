"""promtool checks what Prometheus will read: a page, the rules, the example configuration."""

import subprocess
from pathlib import Path

from exporter import alert_rules
from tests.support.paths import GOLDEN, ROOT


def test_promtool_has_no_complaint_about_the_golden_page(promtool: Path) -> None:
    """A unit test compares that file with what the exporter serves."""
    page = (GOLDEN / "page.txt").read_text()
    checked = subprocess.run([promtool, "check", "metrics"], check=False, input=page, capture_output=True, text=True)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_promtool_has_no_complaint_about_the_rules(promtool: Path) -> None:
    """Not even a lint."""
    files = sorted(map(str, (ROOT / "alerts" / "rules").glob("*.yaml")))
    command = [str(promtool), "check", "rules", "--lint=all", "--lint-fatal", *files]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert files
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_for_prometheus_loads_all_rules(promtool: Path) -> None:
    """It finds the rules where they lie."""
    config = ROOT / "deploy" / "prometheus" / "prometheus.yml"
    done = subprocess.run([str(promtool), "check", "config", str(config)], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert f"{len(alert_rules.names())} rule files found" in done.stdout
