"""The double's own process and the machine below it, as Qdrant reports them."""

import ctypes
import mmap
import os
import resource
import shutil
import time
from pathlib import Path
from typing import Any

PROC = Path("/proc/self")
PAGE_KIB = 1024


def memory() -> dict[str, int]:
    """Return resident memory; the allocator's own numbers are approximated by the anonymous part of it."""
    status = _status()
    resident = status.get("VmRSS", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * PAGE_KIB
    anonymous = status.get("RssAnon", 0) * PAGE_KIB
    return {
        "active_bytes": anonymous,
        "allocated_bytes": anonymous,
        "metadata_bytes": status.get("VmPTE", 0) * PAGE_KIB,
        "resident_bytes": resident,
        "retained_bytes": max(0, status.get("VmData", 0) * PAGE_KIB - anonymous),
    }


def process() -> dict[str, int]:
    """Return the numbers of /metrics' process family; none where there is no /proc, as in the server."""
    if not PROC.exists():
        return {}
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "process_threads": _status()["Threads"],
        "process_open_mmaps": len((PROC / "maps").read_bytes().splitlines()),
        "system_max_mmaps": int(Path("/proc/sys/vm/max_map_count").read_text()),
        "process_open_fds": len(list((PROC / "fd").iterdir())),
        "process_max_fds": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "process_minor_page_faults_total": usage.ru_minflt,
        "process_major_page_faults_total": usage.ru_majflt,
    }


def system(started: float) -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "distribution": "debian",
        "distribution_version": "12",
        "is_docker": False,
        "cores": os.cpu_count() or 1,
        "cpu_cores_used": sum(os.times()[:2]) / max(time.time() - started, 0.001),
        "ram_size": pages // 1024,
        "disk_size": shutil.disk_usage(Path.cwd()).total // 1024,
        "cpu_flags": "",
        "cpu_endian": "little",
    }


def cached_bytes(path: Path) -> int:
    """Return how much of a file lies in the page cache, as the server finds it out."""
    size = path.stat().st_size
    libc = ctypes.CDLL(None)
    if not size or not hasattr(libc, "mincore"):
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
        start = ctypes.c_char.from_buffer(mapped)
        resident = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
        libc.mincore(ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), resident)
        del start  # the mapping cannot close while something points into it
    return min(size, sum(page & 1 for page in resident) * mmap.PAGESIZE)


def _status() -> dict[str, int]:
    """Return the numeric lines of /proc/self/status, sizes in KiB."""
    if not PROC.exists():
        return {}
    pairs = (line.split(":", 1) for line in (PROC / "status").read_text().splitlines())
    words = {name: value.split() for name, value in pairs}
    return {name: int(value[0]) for name, value in words.items() if value and value[0].isdigit()}
