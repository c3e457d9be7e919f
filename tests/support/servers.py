"""Running servers for tests: `primary`, `secondary`, `second_secondary`, and `server_factory` for those to be broken.

REPLICA_TEST_SERVERS names what is covered: `mariadb`, `mariadb:10.11`, `mysql:9.7`, the folder of another
distribution's root, or `all`, with commas between; without it, this machine's MariaDB. A test that uses `primary` or
`server_binary` runs once for each flavour. `@pytest.mark.servers("mysql")` keeps those of one flavour. A test runs with
every release that is covered if it is marked `every_release` or `covers`, or if REPLICA_TEST_EVERYTHING is set.
"""

from __future__ import annotations

import itertools
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from replica_cli.core.settings import EngineChoice
from replica_cli.mysql.binlog.log_state import log_end
from replica_cli.sandbox.binaries import ServerBinary, find_binaries, matches, root_binary, select_binary
from replica_cli.sandbox.sandbox import Sandbox
from tests.matrix.pairs import PAIRS, engines, label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.sandbox.server import SandboxServer

_VARIABLE = "REPLICA_TEST_SERVERS"
_EVERYTHING = "REPLICA_TEST_EVERYTHING"
_TESTS = Path(__file__).parents[1]
_LARGE_LOG_BYTES = 1 << 20


class ServerFactory(Protocol):
    """Start a server of a test's own; it is gone when the test ends. Skips where the binary is not covered."""

    def __call__(
        self, flavour: str = "mariadb", version: str | None = None, **options: str | int | None
    ) -> SandboxServer: ...


def covered_binaries() -> tuple[ServerBinary, ...]:
    """Return the servers to test with. Raises pytest.UsageError for one that does not exist."""
    wanted = os.environ.get(_VARIABLE, "")  # noqa: TID251  a setting of the tests, not of replica
    if not wanted:
        return tuple(b for b in [select_binary("mariadb")] if b is not None and b.chroot is None)
    if wanted == "all":
        return find_binaries()
    found = []
    for item in filter(None, (part.strip() for part in wanted.split(","))):
        flavour, _, version = item.partition(":")
        binary = root_binary(Path(item)) if "/" in item else select_binary(flavour, version or None)
        if binary is None:
            known = ", ".join(map(str, find_binaries())) or "none"
            raise pytest.UsageError(f"{_VARIABLE}: no server found for {item!r}; there are: {known}")
        found.append(binary)
    return tuple(found)


def is_everything() -> bool:
    """Return True if the run is to do what takes long and seldom finds more."""
    return bool(os.environ.get(_EVERYTHING))  # noqa: TID251  a setting of the tests, not of replica


class ServerPool:
    """Servers shared by the tests of a run, started when a test needs them, started again when a test broke one."""

    def __init__(self) -> None:
        self._sandbox = Sandbox()
        self._servers: dict[tuple[ServerBinary, str], SandboxServer] = {}
        # Since the last drop: a session on each of many servers after each test costs more than many a test.
        self._used: set[SandboxServer] = set()

    def get(self, binary: ServerBinary, role: str) -> SandboxServer:
        server = self._servers.get((binary, role))
        if server is None:
            # Tests read files from anywhere; a sandbox's MySQL is otherwise without.
            server = self._sandbox.add(binary, name=role, options={"secure-file-priv": ""})
            self._servers[binary, role] = server
        if not server.is_running:
            server.start()
        self._used.add(server)
        return server

    def drop(self, prefix: str) -> None:
        """Drop each schema whose name begins with `prefix`, on the servers that were used since the last drop.

        A server whose log file has grown begins another one. To check a position, a server reads the file up to there,
        and MariaDB cannot read past an event that is larger than a packet.
        """
        used, self._used = self._used, set()
        for server in used:
            if server.is_running:
                with server.session() as session:
                    found = session.rows(
                        "SELECT schema_name FROM information_schema.schemata WHERE LEFT(schema_name, %s) = %s",
                        len(prefix),
                        prefix,
                    )
                    for (name,) in found:
                        session.execute(f"DROP DATABASE `{name}`")
                    if log_end(session).pos > _LARGE_LOG_BYTES:
                        session.execute("FLUSH BINARY LOGS")

    def close(self) -> None:
        self._sandbox.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_flavour: run a whole run with a server of each flavour")
    config.addinivalue_line("markers", "every_release: run with every covered release of a flavour, not with one")
    config.addinivalue_line("markers", "servers(flavour, version=None): run with covered servers of this kind only")


def pytest_report_header() -> str:
    names = ", ".join(map(str, covered_binaries()))
    return f"servers: {names or 'none; tests that need one are skipped'}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_binary" not in metafunc.fixturenames:
        return
    test, binaries = metafunc.definition, covered_binaries()
    if mark := test.get_closest_marker("servers"):
        binaries = tuple(b for b in binaries if matches(b, *mark.args, **mark.kwargs))
    if not _wants_every_release(test):
        first = {b.flavour: b for b in reversed(binaries)}
        binaries = tuple(b for b in binaries if b is first[b.flavour])
    # Whole runs take long: they run with the first server, and with one of each flavour where they say so.
    is_whole_run = test.path.relative_to(_TESTS).parts[0] in {"flow", "torture"}
    if is_whole_run and not test.get_closest_marker("every_flavour"):
        binaries = tuple(b for b in binaries if b in covered_binaries()[:1])
    if "engine_choice" in metafunc.fixturenames:
        _parametrize_pairs(metafunc, binaries, across=test.get_closest_marker("covers") is not None)
        return
    metafunc.parametrize("server_binary", binaries, ids=str, indirect=True, scope="session")


def _wants_every_release(test: pytest.Function) -> bool:
    """Return True if the releases of a flavour may differ in what the test is about, or if a run is to try them all."""
    # A test that speaks for cells of the coverage table has to run on each of its pairs of servers.
    marks = ("every_release", "covers")
    return is_everything() or any(test.get_closest_marker(name) for name in marks)


def _parametrize_pairs(metafunc: pytest.Metafunc, binaries: tuple[ServerBinary, ...], *, across: bool) -> None:
    """Run with each engine on each server; events of the coverage table also on its pairs of two servers."""
    names, values, ids = ("server_binary", "secondary_binary", "engine_choice"), [], []
    for one, other in itertools.product(binaries, covered_binaries()):
        pair = (label(one), label(other))
        if one is not other and not (across and pair in PAIRS):
            continue
        for engine in engines(pair):
            values.append((one, other, "sql" if engine == "sql" else "auto"))
            ids.append(f"{one}-{engine}" if one is other else f"{one}→{other}-{engine}")
    metafunc.parametrize(names, values, ids=ids, indirect=True, scope="session")


@pytest.fixture(scope="session")
def server_binary(request: pytest.FixtureRequest) -> ServerBinary:
    binary: ServerBinary = request.param
    return binary


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool]:
    pool = ServerPool()
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def secondary_binary(request: pytest.FixtureRequest, server_binary: ServerBinary) -> ServerBinary:
    """Give the secondary's binary: the primary's, where a test is not about pairs."""
    binary: ServerBinary = getattr(request, "param", server_binary)
    return binary


@pytest.fixture(scope="session")
def engine_choice(request: pytest.FixtureRequest) -> EngineChoice:
    """Give the engine that is requested: a test that uses it runs with each."""
    return EngineChoice(request.param)


@pytest.fixture
def primary(server_pool: ServerPool, server_binary: ServerBinary) -> SandboxServer:
    return server_pool.get(server_binary, "primary")


@pytest.fixture
def secondary(server_pool: ServerPool, secondary_binary: ServerBinary) -> SandboxServer:
    return server_pool.get(secondary_binary, "secondary")


@pytest.fixture
def second_secondary(server_pool: ServerPool, server_binary: ServerBinary) -> SandboxServer:
    return server_pool.get(server_binary, "second_secondary")


@pytest.fixture
def schema(server_pool: ServerPool) -> Iterator[str]:
    """Give a name that no other test has. Not created; dropped at the end everywhere, `<name>…` too."""
    name = f"t_{secrets.token_hex(4)}"
    yield name
    server_pool.drop(name)


@pytest.fixture
def state_schema(schema: str) -> str:
    """Give a name for the state's schema, dropped together with `schema`."""
    return f"{schema}_state"


@pytest.fixture
def server_factory() -> Iterator[ServerFactory]:
    with Sandbox() as sandbox:

        def start(flavour: str = "mariadb", version: str | None = None, **options: str | int | None) -> SandboxServer:
            binary = next((b for b in covered_binaries() if matches(b, flavour, version)), None)
            if binary is None:
                pytest.skip(f"{flavour} {version or ''} is not among the servers covered; {_VARIABLE} names them")
            return sandbox.start(binary, options=options)

        yield start
