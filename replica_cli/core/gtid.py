"""Reads, compares and writes sets of global transaction ids, in the text forms of both flavours.

MariaDB keeps the last transaction of each domain ("0-1-100,1-2-7"). MySQL keeps every number ("uuid:1-5:7", with a
tag "uuid:tag:1-3"). One GTID is "0-1-101" or "uuid:6" or "uuid:tag:6".
Sources: https://mariadb.com/kb/en/gtid/ and https://dev.mysql.com/doc/refman/en/replication-gtids-concepts.html
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_TAG = re.compile(r"^[a-z_][a-z0-9_]{0,31}$")
_INTERVAL = re.compile(r"^([0-9]{1,19})(?:-([0-9]{1,19}))?$")
_TAGGED_FORM = 1
_UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class MariadbGtids:
    """A MariaDB GTID set: the last transaction of each domain. Mutable: the applier adds each GTID that it commits."""

    def __init__(self, text: str = "") -> None:
        self._last: dict[int, tuple[int, int]] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            self.add(part)

    def add(self, gtid: str) -> bool:
        """Add one executed transaction and return True.

        The result is always True, because without gtid_strict_mode a number can occur again.

        Raises:
            ValueError: if the text is not a GTID.
        """
        try:
            domain, server, sequence = map(int, gtid.split("-"))
        except ValueError:
            raise ValueError(f"{gtid!r} is not a MariaDB GTID, such as 0-1-100") from None
        # Without gtid_strict_mode a lower number can follow a higher one: the last executed one counts.
        self._last[domain] = (server, sequence)
        return True

    def copy(self) -> MariadbGtids:
        """Return a new set with the same transactions."""
        twin = MariadbGtids()
        twin._last = dict(self._last)
        return twin

    def contains(self, other: MariadbGtids) -> bool:
        """Return True if this set covers `other`, by the sequence number in each domain."""
        return all(d in self._last and self._last[d][1] >= s for d, (_, s) in other._last.items())

    @property
    def domains(self) -> frozenset[int]:
        """Return the domains with at least one transaction."""
        return frozenset(self._last)

    @property
    def has_one_order(self) -> bool:
        """Return True if every server logs these transactions in the same order: they are all of one domain."""
        return len(self._last) <= 1

    def without(self, domains: Collection[int]) -> MariadbGtids:
        """Return a new set without the given domains."""
        twin = MariadbGtids()
        twin._last = {d: last for d, last in self._last.items() if d not in domains}
        return twin

    def __str__(self) -> str:
        return ",".join(f"{d}-{sid}-{seq}" for d, (sid, seq) in sorted(self._last.items()))


class MysqlGtids:
    """A MySQL GTID set: closed intervals of numbers for each source. Mutable: the applier adds each GTID it commits.

    A source is a server's UUID, or `uuid:tag`.
    """

    def __init__(self, text: str = "") -> None:
        self._intervals: dict[str, list[list[int]]] = {}
        for part in filter(None, (p.strip() for p in text.replace("\n", "").split(","))):
            self._parse(part)

    def _parse(self, part: str) -> None:
        uuid, *rest = part.lower().split(":")
        if not _UUID.match(uuid) or not rest:
            raise ValueError(f"{part!r} is not a MySQL GTID set, such as uuid:1-5")
        source = uuid
        for item in rest:
            text = item.strip()
            if _TAG.match(text):
                source = f"{uuid}:{text}"
                continue
            interval = _INTERVAL.match(text)
            low, high = (int(interval[1]), int(interval[2] or interval[1])) if interval else (0, 0)
            if not 0 < low <= high:
                raise ValueError(f"{part!r} is not a MySQL GTID set, such as uuid:1-5")
            self._insert(source, low, high)

    def add(self, gtid: str) -> bool:
        """Add one executed transaction; return False if the set has it already.

        Raises:
            ValueError: if the text is not a GTID.
        """
        source, _, number = gtid.rpartition(":")
        intervals = self._intervals.get(source)
        value = int(number)
        if intervals and intervals[-1][1] + 1 == value:
            intervals[-1][1] = value
        elif self.has(gtid):
            return False
        else:
            self._parse(gtid)
        return True

    def _insert(self, source: str, low: int, high: int) -> None:
        intervals = self._intervals.setdefault(source, [])
        intervals.insert(bisect_right(intervals, [low, high]), [low, high])
        merged: list[list[int]] = []
        for start, end in intervals:
            if merged and start <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        self._intervals[source] = merged

    def copy(self) -> MysqlGtids:
        """Return a new set with the same transactions."""
        twin = MysqlGtids()
        twin._intervals = {source: [list(i) for i in intervals] for source, intervals in self._intervals.items()}
        return twin

    def contains(self, other: MysqlGtids) -> bool:
        """Return True if this set has every transaction of `other`."""
        return all(
            any(low <= start and end <= high for low, high in self._intervals.get(source, []))
            for source, intervals in other._intervals.items()
            for start, end in intervals
        )

    def has(self, gtid: str) -> bool:
        """Return True if this set has the transaction."""
        source, _, number = gtid.rpartition(":")
        return any(low <= int(number) <= high for low, high in self._intervals.get(source, []))

    @property
    def has_one_order(self) -> bool:
        """Return True if every server logs these transactions in the same order: of one source, without a gap.

        A replica that does not preserve the commit order can log one source's transactions in another order: then the
        set has a gap.
        """
        return sum(map(len, self._intervals.values())) <= 1

    def minus(self, other: MysqlGtids) -> MysqlGtids:
        """Return a new set with the transactions of this set that `other` does not have."""
        twin = MysqlGtids()
        for source, intervals in self._intervals.items():
            left = [list(i) for i in intervals]
            for start, end in other._intervals.get(source, []):
                pieces = [piece for a, b in left for piece in ([a, min(b, start - 1)], [max(a, end + 1), b])]
                left = [piece for piece in pieces if piece[0] <= piece[1]]
            if left:
                twin._intervals[source] = left
        return twin

    def encode(self) -> bytes:
        """Return the set as bytes for a MySQL dump request: sources, each with half-open intervals.

        If a source has a tag, the set has the tagged form, which servers before 8.3 do not know (Gtid_set::encode).
        """
        is_tagged = any(":" in source for source in self._intervals)
        count = len(self._intervals)
        chunks = [struct.pack("<Q", _TAGGED_FORM << 56 | count << 8 | _TAGGED_FORM if is_tagged else count)]
        for source, intervals in sorted(self._intervals.items()):
            uuid, _, tag = source.partition(":")
            chunks.append(bytes.fromhex(uuid.replace("-", "")))
            if is_tagged:
                chunks.append(bytes((len(tag) << 1,)) + tag.encode())
            chunks.append(struct.pack("<Q", len(intervals)))
            chunks.extend(struct.pack("<QQ", low, high + 1) for low, high in intervals)
        return b"".join(chunks)

    def __str__(self) -> str:
        # The form that the server writes: each UUID once, followed by its tags.
        parts: dict[str, str] = {}
        for source, intervals in sorted(self._intervals.items()):
            uuid, _, tag = source.partition(":")
            ranges = ":".join(str(a) if a == b else f"{a}-{b}" for a, b in intervals)
            parts[uuid] = f"{parts.get(uuid, uuid)}:{f'{tag}:' if tag else ''}{ranges}"
        return ",".join(parts.values())


Gtids = MariadbGtids | MysqlGtids


def parse_gtids(text: str, *, is_mariadb: bool) -> Gtids:
    """Parse a GTID set in the form of its flavour.

    Raises:
        ValueError: if the text is not such a set.
    """
    return MariadbGtids(text) if is_mariadb else MysqlGtids(text)


def covers(executed: str, wanted: str) -> bool:
    """Return True if the set `executed` contains the whole set `wanted`, both in the form of one flavour.

    Raises:
        ValueError: if one of them is not a set, or if they are of two flavours.
    """
    # Only MySQL's form has colons. An empty set is of both flavours.
    if ":" in executed or ":" in wanted:
        return MysqlGtids(executed).contains(MysqlGtids(wanted))
    return MariadbGtids(executed).contains(MariadbGtids(wanted))
