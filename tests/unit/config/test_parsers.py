from __future__ import annotations

import pytest

from replica_cli.config import parsers


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("200ms", 0.2),
        ("1m", 60.0),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("60", 60.0),
        ("0.5", 0.5),
        ("2 s", 2),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parsers.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "5x", "-1s", "1 2", "5s6", "1e3", "nan"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parsers.duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("4MiB", 4 << 20), ("512k", 512 << 10), ("1G", 1 << 30), ("65536", 65536), ("7B", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert parsers.size(text) == size


@pytest.mark.parametrize("text", ["", "0", "4X", "-1", "1.5M"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parsers.size(text)


@pytest.mark.parametrize(("text", "is_good"), [("1KiB", True), ("1023", False), ("2M", True), ("2097153", False)])
def test_sizes_have_limits(text: str, *, is_good: bool) -> None:
    parse = parsers.size_between(1 << 10, 2 << 20)
    if is_good:
        assert parse(text) == parsers.size(text)
        return
    with pytest.raises(ValueError, match=f"'{text}' is not a size from 1KiB to 2MiB"):
        parse(text)


def test_durations_have_limits() -> None:
    assert parsers.duration_up_to(60)("1m") == 60
    with pytest.raises(ValueError, match="'61s' is longer than 60s"):
        parsers.duration_up_to(60)("61s")


def test_endpoints() -> None:
    assert parsers.endpoint("log:12201") == ("log", 12201)
    assert parsers.endpoint("[::1]:12201") == ("::1", 12201)
    for wrong in ("log", ":1", "log:0", "log:x"):
        with pytest.raises(ValueError, match="is not host:port"):
            parsers.endpoint(wrong)


def test_whole_numbers_are_ascii_digits() -> None:
    parse = parsers.whole_number(1, 10)
    assert parse("10") == 10
    for wrong in ("0", "11", "-1", "1.0", "٣", ""):
        with pytest.raises(ValueError, match="whole number from 1 to 10"):
            parse(wrong)
