"""What other programs make of the repository: archives to install from, and a report of the tests."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.support.paths import ROOT


def test_wheel_and_sdist_hold_what_is_read_at_run_time(tmp_path: Path) -> None:
    """Both archives contain every built-in query file, the status page's templates and the catalogue of alerts."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    read = [*(ROOT / "queries").rglob("*.yaml"), *(ROOT / "exporter" / "status_page" / "templates").iterdir()]
    read += (ROOT / "alerts" / "catalogue").iterdir()
    files = {str(path.relative_to(ROOT)).removeprefix("exporter/") for path in read}

    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = {
            name.removeprefix("exporter/").removeprefix("_data/").replace("alerts/", "alerts/catalogue/")
            for name in wheel.namelist()
        }
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as sdist:
        unpacked = {name.partition("/")[2].removeprefix("exporter/") for name in sdist.getnames()}

    assert files - inside == set()
    assert files - unpacked == set()


def test_a_report_for_machines_takes_what_tests_record(tmp_path: Path) -> None:
    """With our settings, under which a warning is an error."""
    recording, report = tmp_path / "test_recording.py", tmp_path / "report.xml"
    recording.write_text("def test_recording(record_property):\n    record_property('score', '1 of 1')\n")
    plugins = ["--disable-plugin-autoload", "-p", "anyio", "-p", "no:cacheprovider"]
    options = [*plugins, "-c", str(ROOT / "pyproject.toml"), f"--junitxml={report}"]
    subprocess.run([sys.executable, "-m", "pytest", *options, str(recording)], check=True, capture_output=True)

    assert 'errors="0" failures="0"' in report.read_text()
    assert 'value="1 of 1"' in report.read_text()
