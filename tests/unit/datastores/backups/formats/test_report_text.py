import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.datastores.backups.formats.report_text import MOST_BYTES, Report, parse_report

GOOD = {"ok": True, "finished": "2026-11-30T02:14:00Z", "seconds": 512}
FINISHED = 1796004840.0


def report(**changes: object) -> Report:
    return parse_report(json.dumps({**GOOD, **changes}).encode())


def test_parse_report_of_a_job() -> None:
    assert report() == Report(ok=True, finished=FINISHED, seconds=512.0)


@pytest.mark.parametrize(
    "finished",
    ["2026-11-30T02:14:00+00:00", "2026-11-30T03:14:00+01:00", "20261130T021400Z", "2026-11-30 02:14Z", 1796004840],
)
def test_parse_report_reads_every_time_with_a_zone(finished: object) -> None:
    assert report(finished=finished).finished == FINISHED


@pytest.mark.parametrize(
    "finished",
    [
        "2026-11-30T02:14:00", "2026-11-30", "yesterday", "", 1796004840000, 0, -1, True, None, [], {},
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "2026-11-30T02:14:00Z" + " " * 100,
    ],
)  # fmt: skip
def test_parse_report_without_a_usable_time_names_the_key(finished: object) -> None:
    assert report(finished=finished).fault == (
        "finished must be a time with its zone, such as 2026-11-30T02:14:00Z, or Unix seconds"
    )


@pytest.mark.parametrize("ok", ["true", 1, 0, None, [], "yes"])
def test_parse_report_ok_of_another_type_is_no_success(ok: object) -> None:
    assert report(ok=ok).fault == "ok must be true or false"


@pytest.mark.parametrize("seconds", [-1, "512", True, [], 1e12])
def test_parse_report_without_a_usable_duration_names_the_key(seconds: object) -> None:
    assert report(seconds=seconds).fault == "seconds must be a number, 0 or more"


@pytest.mark.parametrize("key", ["message", "source"])
def test_parse_report_text_of_another_type_names_the_key(key: str) -> None:
    assert report(**{key: 5}).fault == f"{key} must be a text"


@pytest.mark.parametrize("key", ["ok", "finished"])
def test_parse_report_without_a_key_names_it(key: str) -> None:
    said = {name: value for name, value in GOOD.items() if name != key}

    assert parse_report(json.dumps(said).encode()).fault == f"{key} is missing"


def test_parse_report_seconds_may_be_absent() -> None:
    assert report(seconds=None).seconds is None


def test_parse_report_message_is_visible_and_bounded() -> None:
    said = report(ok=False, message="pg_restore:\n\x1b[31mout of disk\x1b[0m" + "!" * 9999, source="a.dump").message

    assert said.startswith("pg_restore: \\x1b[31mout of disk\\x1b[0m!!!")
    assert len(said) <= 301


def test_parse_report_names_the_source_after_the_message() -> None:
    assert report(ok=False, message="exit 1", source="a.dump").message == "exit 1 (a.dump)"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"ok": true, "ok": false}', "ok is there twice"),
        (b'{"ok": true, "finished": NaN}', "NaN is no number that can be used"),
        (b'{"ok": true, "finished": Infinity}', "Infinity is no number that can be used"),
        (b'{"ok": true, "finished": 1e999}', "1e999 is no number that can be used"),
        (b'{"ok": true, "finished": ' + b"9" * 5000 + b"}", "9" * 30 + " is no number that can be used"),
        (b'[{"ok": true}]', "no JSON object"),
        (b"true", "no JSON object"),
        (b" " * (MOST_BYTES + 1), "larger than 64 KiB"),
    ],
)
def test_parse_report_that_is_whole_says_what_is_wrong(content: bytes, fault: str) -> None:
    assert parse_report(content) == Report(fault=fault)


@pytest.mark.parametrize("content", [b'{"ok": tr', b"\xff\xfe", b"[" * MOST_BYTES, b'{"a":' * 10_000, b"{'ok': True}"])
def test_parse_report_that_is_no_json_may_be_half_written(content: bytes) -> None:
    assert parse_report(content) == Report(fault="no JSON that can be read", whole=False)


def test_parse_report_that_is_empty_may_be_half_written() -> None:
    assert parse_report(b"") == Report(fault="it is empty", whole=False)


def test_parse_report_with_a_byte_order_mark_is_read() -> None:
    assert parse_report(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()).ok


def test_parse_report_with_many_keys_takes_no_time() -> None:
    content = ("{" + ",".join(f'"{number}":1' for number in range(7000)) + "}").encode()
    began = time.process_time()
    parse_report(content[:MOST_BYTES])

    assert time.process_time() - began < 0.5


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["ok", "finished", "seconds", "message"]), inner),
)


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_parse_report_of_anything_gives_a_report(content: bytes) -> None:
    said = parse_report(content)

    assert said.fault or said.finished > 0
    assert said.message.isprintable()
    assert said.fault.isprintable()
