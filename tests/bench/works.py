"""All works by name, at full size or a tenth of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.sandbox.binaries import Flavour
from tests.bench import bars, bulk, mixed, sysbench
from tests.bench.bulk import Bulk
from tests.bench.contestants import PARALLEL, Ours, OursLinked, OursTransfer
from tests.bench.followers import NativeFollowing, OursFollowing
from tests.bench.latency import Latency
from tests.bench.library import Library
from tests.bench.listening import Listening, OursListening, hostile, no_clients, scraping
from tests.bench.mixed import Mixed
from tests.bench.native import Native
from tests.bench.race import Race
from tests.bench.sysbench import Sysbench
from tests.bench.tools import BinlogPipe, DumpPipe, Mydumper
from tests.bench.verifying import OursVerified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.contestants import Contestant
    from tests.bench.followers import Follower
    from tests.bench.plan import Plan, Work


def works(plan: Plan) -> Mapping[str, Work]:
    """Return every work by its name, in the order of the report."""
    small = plan.divisor
    oltp = Sysbench(100_000 // small, 60_000 // small)
    rows = 700_000 // small
    image: dict[str, Contestant] = {bars.ROW_IMAGE: Ours("auto", plan.profile)}
    engines: dict[str, Contestant] = {**image, bars.SQL: Ours("sql", plan.profile)}
    single: dict[str, Contestant] = {bars.SINGLE: Native()}
    library: dict[str, Contestant] = {bars.LIBRARY: Library()}
    workers: dict[str, Contestant] = {bars.WORKERS_1: Native(1), bars.WORKERS_4: Native(4)}
    copies: dict[str, Contestant] = {
        bars.ROW_IMAGE: OursTransfer(plan.profile),
        bars.DUMP: DumpPipe(),
        bars.MYDUMPER: Mydumper(),
        bars.MYDUMPER_4: Mydumper(4),
    }
    links: dict[str, Contestant] = {bars.LINK: OursLinked(0.0), bars.LINK_20: OursLinked(0.010)}
    followers: dict[str, Follower] = {bars.ROW_IMAGE: OursFollowing(plan.profile), bars.SINGLE: NativeFollowing()}
    listening: dict[str, Follower] = {
        bars.ROW_IMAGE: OursFollowing(plan.profile),
        "listening": Listening(no_clients),
        "scraped": Listening(scraping),
        "1000 hostile": Listening(hostile),
    }
    scraped: dict[str, Contestant] = {
        bars.ROW_IMAGE: OursListening(),
        "listening": OursListening(no_clients),
        "scraped": OursListening(scraping),
    }
    verified: dict[str, Contestant] = {
        bars.ROW_IMAGE: OursListening(),
        bars.VERIFIED: OursVerified(),
        # By default a comparison waits for a stream that is far behind, as this one is for most of the time.
        bars.VERIFIED_BEHIND: OursVerified(("--max-lag", "24h")),
    }
    made: tuple[Work, ...] = (
        Race("oltp", sysbench.SCHEMA, oltp, {**engines, **single}, parallel=PARALLEL, readers=library),
        Race("bulk", bulk.SCHEMA, Bulk(rows), {**engines, **single, bars.PIPE: BinlogPipe()}, readers=library),
        Race("mixed", mixed.SCHEMA, Mixed(40_000 // small, 40_000 // small), {**engines, **single}),
        Race("mysql-oltp", sysbench.SCHEMA, oltp, {**image, **workers}, flavour=Flavour.MYSQL),
        Race("transfer-bulk", bulk.SCHEMA, Bulk(rows, is_loaded=True), copies, is_from_nothing=True),
        Race("transfer-oltp", sysbench.SCHEMA, replace(oltp, transactions=0), copies, is_from_nothing=True),
        Race("link", sysbench.SCHEMA, oltp, links),
        Race("one-transaction", bulk.SCHEMA, Bulk(3_000_000 // small, is_one=True), image, is_single=True),
        Race(
            "transfer-large",
            bulk.SCHEMA,
            Bulk(5_000_000 // small, is_loaded=True),
            {bars.ROW_IMAGE: OursTransfer(plan.profile)},
            is_from_nothing=True,
            is_single=True,
        ),
        Latency("latency-idle", followers, 1000 // small),
        Latency("latency-500", followers, 10_000 // small, per_second=500),
        # Longer than the others: the HTTP server is loaded once, and a difference of a few percent is to be seen.
        Race("oltp-http", sysbench.SCHEMA, replace(oltp, transactions=400_000 // small), scraped),
        Race("oltp-verify", sysbench.SCHEMA, replace(oltp, transactions=400_000 // small), verified),
        Latency("latency-http", listening, 10_000 // small, per_second=500),
    )
    return {work.name: work for work in made}
