"""Compare what `health`, `position show` and the log say with what the harness knows: pure functions.

A claim is called wrong only if it is provably so. The primary's transactions are those that it acknowledged before the
question; the secondary is read after the answer. So a transaction that is missing was missing all the time between.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Document = Mapping[str, Any]

# A heartbeat may be ten seconds old before its phase and lag no longer count (health/secondary.py). Five more, because
# a link that is silent counts as dead after the read timeout of five seconds.
STALE_SECONDS = 15.0
# `replica` may believe that it is caught up for as long as a silent link may be a quiet one.
LOG_STALE_SECONDS = 10.0
_ALARM = re.compile(
    r"--restart|past the end of|(lies|is) behind the end of|is purged: |no longer on |no longer has all transactions"
    r"|the primary lost|position is lost|contradict",
    re.IGNORECASE,
)
_NO_POSITION = "no position is saved"  # true between two copies
_STOLEN = re.compile(r"took over while this process was frozen|another process took over")
_LINE = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z) \[(?P<tag>\w+)\](?: \[(?P<instance>[^\]]+)\])? (?P<text>.*)")
_PHASES = "starting|transferring|streaming|caught up|reconnecting|paused|standby|stopping|stopped|failed"
_NAME = re.compile(r"\w+\.(\w+)")
_CRITICAL = 2
_SHORT_SECONDS = 1.0
_PHASE = re.compile(rf"(?P<phase>{_PHASES}) at ")


@dataclass(frozen=True, slots=True)
class Look:
    """One secondary at one moment, read in one snapshot.

    `numbers` are the transactions of the ledger, None while the ledger cannot be read; `states` are the tables that
    are not simply streamed, with their state.
    """

    numbers: frozenset[int] | None
    states: Mapping[str, str]

    @property
    def quarantined(self) -> frozenset[str]:
        """Return the tables that are quarantined."""
        return frozenset(table for table, state in self.states.items() if state == "quarantined")


@dataclass(frozen=True, slots=True)
class Sample:
    """What was known around one question.

    `acknowledged` holds number and time of each transaction that the primary had acknowledged when the question was
    asked at `asked_at`; the answer came after `took_seconds`. `may_be_lost`: the position was lost at some moment of
    the question, because the harness did it.
    """

    instance: str
    asked_at: float
    acknowledged: Mapping[int, float]
    before: Look | None
    after: Look | None
    may_be_lost: bool = False
    took_seconds: float = 0.0

    def missing(self) -> dict[int, float]:
        """Return the transactions that were missing during the whole question, with the time of their commit."""
        if self.after is None or self.after.numbers is None or "ledger" in self.after.states:
            return {}  # while the ledger itself is copied its rows say nothing
        return {n: at for n, at in self.acknowledged.items() if n not in self.after.numbers}


def wrong_in_health(document: Document, sample: Sample) -> list[str]:
    """Return what is untrue in an answer of `health --json` about one secondary."""
    checks = [c for c in document["checks"] if c["instance"] in (None, sample.instance)]
    named = {c["name"]: c for c in checks}
    wrong = [] if sample.may_be_lost else [f"a false alarm of `health`: {_words(c)}" for c in checks if _is_alarm(c)]
    lag, missing = named.get("lag"), sample.missing()
    if missing and lag:
        if lag["message"] == "caught up":
            wrong.append(f"`health` says lag: caught up, while {_told(missing, sample)}")
        elif document["level"] == 0 and (late := _later_than(missing, sample, float(lag["value"] or 0))):
            wrong.append(f"`health` is ok and says lag: {lag['message']}, while {_told(late, sample)}")
    return wrong + _wrong_about_quarantine(named.get("quarantined-tables"), sample)


def wrong_in_positions(document: Document, sample: Sample) -> list[str]:
    """Return what is untrue in an answer of `position show --json` about one secondary."""
    report = next(r for r in document["secondaries"] if r["instance"] == sample.instance)
    missing, wrong = sample.missing(), []
    if report["failure"]:
        return []  # the secondary is away, or its state cannot be read: that is an error, not an answer
    if missing and report["distance_bytes"] == 0:
        wrong.append(f"`position show` says lag 0 B, while {_told(missing, sample)}")
    # A stream learns of a lost position from its watch, which looks every half minute.
    if report["phase"] == "caught_up" and not sample.may_be_lost and (late := _later_than(missing, sample, 0.0)):
        wrong.append(f"`position show` says caught_up, while {_told(late, sample)}")
    listed = {t["table"].split(".", 1)[-1] for t in report["tables"] if t["state"] == "quarantined"}
    return wrong + _compare_quarantined("position show", listed, sample)


def not_at_rest(health: Document, positions: Document, instance: str) -> list[str]:
    """Return what the answers say at rest that they must not: everything is applied, and all is well."""
    found = [
        f"`health` at rest, {c['status']}: {c['name']}: {c['message']}"
        for c in health["checks"]
        if c["instance"] in (None, instance) and c["level"]
    ]
    report = next(r for r in positions["secondaries"] if r["instance"] == instance)
    found += [
        f"`position show` at rest: {name} is {report[name]!r}"
        for name, right in (("phase", "caught_up"), ("distance_bytes", 0), ("tables", []), ("failure", None))
        if report[name] != right
    ]
    saved, primary = report["saved"] or {}, report["primary"] or {}
    if not saved.get("gtid") or _set_of(saved.get("gtid")) != _set_of(primary.get("gtid")):
        found.append(f"`position show` at rest: saved {saved}, the primary's {primary}")
    return found


def wrong_in_log(
    lines: Iterable[str], instance: str, is_lost_at: Sequence[tuple[float, float]], *, was_replaced: bool
) -> list[str]:
    """Return the lines of a stream's log about an instance that claim what is not so.

    `is_lost_at` are the times between which the position was lost, because the harness did it. `was_replaced`: another
    process was let to take over from this one.
    """
    wrong = []
    for line in lines:
        found = _LINE.match(line)
        if not found or found["instance"] not in (None, instance):
            continue
        at = seconds_of(found["time"])
        is_lost = any(begin <= at <= end for begin, end in is_lost_at)
        is_false_alarm = bool(_ALARM.search(found["text"])) and not is_lost
        if is_false_alarm or (_STOLEN.search(found["text"]) and not was_replaced):
            wrong.append(f"untrue: {line}")
    return wrong


def caught_up_times(lines: Iterable[str], instance: str) -> list[float]:
    """Return the times at which a log says that an instance is caught up."""
    return [at for at, phase in _phases(lines, instance) if phase == "caught up"]


def last_phase(lines: Iterable[str], instance: str) -> str:
    """Return the last phase of an instance in a log, empty if it has none."""
    return next((phase for _, phase in reversed(_phases(lines, instance))), "")


def seconds_of(text: str) -> float:
    """Return the time of a log line as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def _is_alarm(check: Document) -> bool:
    if "--restart" in (check["hint"] or ""):
        return True
    if check["level"] != _CRITICAL or check["message"] == _NO_POSITION:
        return False
    return check["name"] == "position" or bool(_ALARM.search(check["message"]))


def _words(check: Document) -> str:
    hint = f" ({check['hint']})" if check["hint"] else ""
    return f"{check['name']}: {check['message']}{hint}"


def _later_than(missing: Mapping[int, float], sample: Sample, lag_seconds: float) -> dict[int, float]:
    """Return the missing transactions that are older than a lag, and than what an old heartbeat excuses."""
    return {n: at for n, at in missing.items() if at < sample.asked_at - lag_seconds - STALE_SECONDS}


def _told(missing: Mapping[int, float], sample: Sample) -> str:
    number, at = min(missing.items(), key=lambda item: item[1])
    return f"{len(missing)} transactions are missing, such as {number} of {sample.asked_at - at:.1f} s before"


def _wrong_about_quarantine(check: Document | None, sample: Sample) -> list[str]:
    if check is None:
        return []
    if " more" in check["message"]:
        return []  # not all are listed
    listed = set() if check["message"].startswith("none") else set(_NAME.findall(check["message"].split(";")[0]))
    return _compare_quarantined("health", listed, sample)


def _compare_quarantined(who: str, listed: set[str], sample: Sample) -> list[str]:
    """Compare the tables that an answer names with those that were quarantined both before and after it."""
    if sample.before is None or sample.after is None or sample.before.states != sample.after.states:
        return []
    if sample.took_seconds > _SHORT_SECONDS:
        return []  # long enough for a table to be quarantined and copied again
    there = sample.after.quarantined
    if listed == there:
        return []
    return [f"`{who}` names {sorted(listed) or 'no table'} as quarantined, and those are {sorted(there) or 'none'}"]


def _set_of(gtid: object) -> list[str]:
    return sorted(part.strip() for part in str(gtid or "").split(","))


def _phases(lines: Iterable[str], instance: str) -> list[tuple[float, str]]:
    found = []
    for line in lines:
        record = _LINE.match(line)
        if record and record["instance"] == instance and (phase := _PHASE.match(record["text"])):
            found.append((seconds_of(record["time"]), phase["phase"]))
    return found
