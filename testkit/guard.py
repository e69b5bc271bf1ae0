"""End the servers that a crashed run left behind.

Runs as a process of its own. The run that starts servers holds the other end of our standard input and
names there what is alive; when that run dies, however it dies, the input ends and we clean up. A
parent-death signal would not do: it fires when the *thread* that started the child ends.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

SECONDS = 5.0


def main() -> None:
    servers: dict[int, int] = {}
    folders: set[str] = set()
    for line in sys.stdin:
        verb, value = line.rstrip("\n").split(" ", 1)
        if verb == "started":
            pid, stop_signal = value.split(" ")
            servers[int(pid)] = int(stop_signal)
        elif verb == "ended":
            servers.pop(int(value), None)
        elif verb == "folder":
            folders.add(value)
        elif verb == "removed":
            folders.discard(value)
    _end(servers)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _end(servers: dict[int, int]) -> None:
    for pid, stop_signal in servers.items():
        signal_tree(pid, signal.SIGCONT)
        _signal(pid, stop_signal)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and any(alive(pid) for pid in servers):
        time.sleep(0.05)
    for pid in servers:
        signal_tree(pid, signal.SIGKILL)


def signal_tree(pid: int, number: int) -> None:
    """Signal a process and its children; it goes first, so that it starts no further ones.

    They are listed before, too: children of a killed process are no longer our descendants.
    """
    before = descendants(pid)
    _signal(pid, number)
    for child in {*before, *descendants(pid)}:
        _signal(child, number)


def descendants(pid: int) -> list[int]:
    """Return the children of a process and theirs: PostgreSQL's live in sessions of their own."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for known in found:
        found.extend(children.get(known, []))
    return found[1:]


def alive(pid: int) -> bool:
    """Tell whether a process still runs; one that ended but was not collected by its parent does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return not Path("/proc/self").exists()


def _parents() -> list[tuple[int, int]]:
    """Return (process, its parent) for every process; containers often lack `ps`, other systems /proc."""
    if not Path("/proc/self/stat").exists():
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True)
        return [(int(pid), int(parent)) for pid, parent in map(str.split, listing.stdout.splitlines())]
    pairs = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = entry.read_text(errors="replace").rpartition(")")[2].split()[1]
            pairs.append((int(entry.parent.name), int(parent)))
    return pairs


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    main()
