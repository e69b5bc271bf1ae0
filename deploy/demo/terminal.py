"""Write to a terminal or a pipe, also after its reader has closed it."""

import os
import shutil
import sys
from collections.abc import Sequence

_UP_AND_CLEAR = "\x1b[{}F\x1b[J"


class Terminal:
    """Redraw the last block in place on a terminal, and write plain lines elsewhere."""

    def __init__(self) -> None:
        self.redraws = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.closed = False
        self._drawn = 0

    def say(self, *lines: str) -> None:
        """Write lines that stay."""
        self._write(self._erase(), lines)

    def show(self, lines: Sequence[str]) -> None:
        """Write lines that the next ones replace."""
        if self.redraws:
            width = shutil.get_terminal_size().columns
            lines = [line[: width - 1] for line in lines]  # a wrapped line would be two to erase
        erase = self._erase()
        self._drawn = len(lines) if self.redraws else 0
        self._write(erase, lines)

    def keep(self) -> None:
        """Keep the lines that were shown last."""
        self._drawn = 0

    def close(self) -> None:
        """Redirect a closed standard output, about which Python would complain on exit."""
        if self.closed:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _erase(self) -> str:
        drawn, self._drawn = self._drawn, 0
        return _UP_AND_CLEAR.format(drawn) if drawn else ""

    def _write(self, before: str, lines: Sequence[str]) -> None:
        if self.closed:
            return
        try:
            sys.stdout.write(before + "".join(f"{line}\n" for line in lines))
            sys.stdout.flush()
        except OSError:  # the terminal is gone, or the pipe's reader
            self.closed = True
