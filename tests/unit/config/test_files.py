"""Whatever lies where a file is expected, it is read within a bound and a deadline, or refused in a line."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from exporter.config.files import MOST_BYTES, in_time, read_bounded, stamp
from tests.support.factories import write


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def a_sparse_file(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "it is not a regular file"),
    "endless device": (lambda path: path.symlink_to("/dev/zero"), "it is not a regular file"),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), "it is not a regular file"),
    "socket": (a_socket, "it is not a regular file"),
    "folder": (Path.mkdir, "Is a directory"),
    "sparse": (a_sparse_file, "it is larger than 1 MiB"),
    "large": (lambda path: path.write_bytes(b"x" * (MOST_BYTES + 1)), "it is larger than 1 MiB"),
    "loop": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "absent": (lambda _: None, "No such file or directory"),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("look", [read_bounded, stamp])
def test_file_of_another_kind_or_size_is_rejected(tmp_path: Path, kind: str, look: Callable[[Path], object]) -> None:
    make, problem = ODD[kind]
    make(tmp_path / "odd")
    with pytest.raises(OSError, match=problem) as caught:
        look(tmp_path / "odd")

    assert caught.value.strerror


def test_file_that_claims_to_be_empty_is_bounded() -> None:
    """Files of the kernel have no size; of this one everybody can read more than a byte."""
    assert read_bounded(Path("/proc/self/status")).startswith(b"Name:")
    with pytest.raises(OSError, match="larger than"):
        read_bounded(Path("/proc/self/status"), 1)


def test_links_are_followed(tmp_path: Path) -> None:
    """Kubernetes' secrets are links to links."""
    write(tmp_path / "..data_1/password", "hunter22")
    (tmp_path / "..data").symlink_to("..data_1")
    (tmp_path / "password").symlink_to("..data/password")

    assert read_bounded(tmp_path / "password") == b"hunter22"


def test_a_mount_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at it ends, no second one is made meanwhile, others are not held up, and it may come back."""
    monkeypatch.setattr("exporter.config.files.PATIENCE", 0.05)
    back, looks = Event(), list[Path]()
    hanging, well = tmp_path / "hanging", write(tmp_path / "well", "fine")

    def look() -> str:
        looks.append(hanging)
        back.wait(30)
        return "back"

    with pytest.raises(OSError, match=r"no answer within 0\.05 s"):
        in_time(hanging, look)
    with pytest.raises(OSError, match="still does not answer"):
        in_time(hanging, look)

    assert looks == [hanging]
    assert read_bounded(well) == b"fine"

    back.set()
    monkeypatch.setattr("exporter.config.files.PATIENCE", 5)
    while True:
        try:
            assert in_time(hanging, lambda: "new") == "new"
            break
        except OSError:
            continue


async def test_a_mount_that_hangs_holds_the_event_loop_for_less_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login reads its secret there; the start and a reload, which block no loop, wait for longer."""
    monkeypatch.setattr("exporter.config.files.ON_THE_LOOP", 0.05)
    back = Event()
    with pytest.raises(OSError, match=r"no answer within 0\.05 s"):
        in_time(tmp_path / "hangs", lambda: back.wait(30))
    back.set()
