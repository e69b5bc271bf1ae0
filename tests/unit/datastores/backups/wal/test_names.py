"""Names of segments and the arithmetic of their numbers."""

import pytest

from exporter.datastores.backups.wal.names import (
    Segment,
    Switch,
    archive_of,
    history_of,
    name_at,
    number_of,
    position_of,
    segment_name,
    segment_of,
    switches,
)

SHA = "c8c843e87dbcf7733654713bde6a65934a7bf435"


@pytest.mark.parametrize("ending", ["", f"-{SHA}", f"-{SHA}.gz", f"-{SHA}.zst", ".gz", ".lz4", ".br", ".zst.gpg"])
def test_segment_of_file_of_any_tool_is_its_segment(ending: str) -> None:
    assert segment_of(f"00000002000000010000000A{ending}") == Segment(2, 1 << 12 | 10)


@pytest.mark.parametrize(
    "name",
    [
        "00000002.history",
        "000000010000000000000002.00000028.backup",
        "000000010000000000000002.00000028.backup.lz4",
        "000000010000000000000002.partial",
        "000000010000000000000002.gz.partial",
        f"000000010000000000000002-{SHA}.gz.pgbackrest.tmp",
        "000000010000000000000002_delta.lz4",
        "00000001000000000000000g",
        "00000001000000000000abcd",
        "000000010000000000000002\n",
        "000000000000000000000002",  # there is no timeline 0
        "000000010000000000001000",  # no segment is smaller than 1 MiB
        "archive.info",
        "",
        "A" * 4096,
    ],
)
def test_segment_of_other_file_is_none(name: str) -> None:
    assert segment_of(name) is None


def test_history_of_history_is_its_timeline() -> None:
    assert [history_of(name) for name in ("0000000B.history", "0000000B.history.gz", "0000000B.histor")] == [
        11,
        11,
        None,
    ]


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        ("repo/archive/demo/15-1/0000000100000000/000000010000000000000001-c8.gz", "repo/archive/demo/15-1"),
        ("9.6-12/0000000100000000/000000010000000000000001-c8.gz", "9.6-12"),
        ("demo/15-1/00000002.history", "demo/15-1"),
        ("wals/0000000100000000/000000010000000000000001", ""),
        ("wal/2026/11-30/000000010000000000000001", ""),
        ("000000010000000000000001", ""),
    ],
)
def test_archive_of_file_is_the_folder_that_pgbackrest_numbers(name: str, archive: str) -> None:
    assert archive_of(name) == archive


@pytest.mark.parametrize(("per_half", "numbers"), [(256, [255, 256, 257]), (4096, [255, 4096, 4097])])
def test_number_of_segments_has_no_holes(per_half: int, numbers: list[int]) -> None:
    names = ["0000000100000000000000FF", "000000010000000100000000", "000000010000000100000001"]

    segments = [segment for name in names if (segment := segment_of(name))]

    assert [number_of(segment.code, per_half) for segment in segments] == numbers
    assert [segment_name(1, number, per_half) for number in numbers] == names


def test_name_at_position_is_the_segment_that_holds_it() -> None:
    assert name_at(1, position_of("0/A000028") or 0) == "00000001000000000000000A"
    assert name_at(2, position_of("1/FFFFFFFF") or 0) == "0000000200000001000000FF"


@pytest.mark.parametrize("text", ["", "0/", "/0", "0/123456789", "x/1", 7, None, "0/1\n"])
def test_position_of_other_text_is_none(text: object) -> None:
    assert position_of(text) is None


def test_switches_of_history_are_its_lines() -> None:
    history = "1\t0/3000000\tno recovery target specified\n\n# remark\n2\tA/FF000000\treason\nx\t0/1\ty\n"

    assert switches(history) == [Switch(1, 0x3000000), Switch(2, 0xA << 32 | 0xFF000000)]
