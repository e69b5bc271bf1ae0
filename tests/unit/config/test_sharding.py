"""Shares of the targets: every target is in one, the same that Prometheus' hashmod finds."""

import pytest

from exporter.config.sharding import Shard, name_hash, parse_shard

NAMES = [f"db-{number}" for number in range(300)]


def test_every_target_is_in_one_shard() -> None:
    """In about as many as in the others."""
    shares = [[name for name in NAMES if Shard(index, 3).holds(name)] for index in range(3)]

    assert sorted(name for share in shares for name in share) == sorted(NAMES)
    assert all(70 < len(share) < 130 for share in shares)


def test_the_hash_is_that_of_hashmod() -> None:
    """The MD5 sum of RFC 1321's own example, its later 8 bytes, the first of them the heaviest."""
    assert name_hash("abc") == 0xD6963F7D28E17F72


def test_a_single_shard_holds_all() -> None:
    assert all(parse_shard("0/1").holds(name) for name in NAMES)


def test_shard_is_parsed_and_printed() -> None:
    assert (parse_shard("2/3"), str(parse_shard("2/3"))) == (Shard(2, 3), "2/3")


@pytest.mark.parametrize("text", ["", "3", "3/3", "0/0", "-1/3", "1/-3", "a/b", "1/3/5", "0.5/1"])
def test_invalid_shard_is_rejected(text: str) -> None:
    """Most of all the third of two: they are counted from 0."""
    with pytest.raises(ValueError, match="is not a shard: 0/3, 1/3 and 2/3 are those of three"):
        parse_shard(text)
