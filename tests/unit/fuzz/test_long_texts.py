"""No text of a server or a user takes much longer to read than it is: who backtracks over it stops all targets."""

import subprocess
import sys

from tests.support.long_texts import READERS


def test_parsers_of_long_texts_do_not_backtrack() -> None:
    """In a process of its own, for who backtracks over 50,000 characters never comes back."""
    command = [sys.executable, "-m", "tests.support.long_texts"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            said, _ = running.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            running.kill()
            said, _ = running.communicate()

    assert said.splitlines() == [*READERS, "all"], "the last one named does not come to an end"
