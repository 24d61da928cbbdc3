"""`dfd serve`: the HTTP API in a process of its own, over the Redis that all others use."""

from __future__ import annotations

import argparse
import logging
import socket
import sys

import uvicorn

from dfd_core.errors import SettingsError
from dfd_core.names import is_loopback
from dfd_core.process.logs import start_logging
from dfd_core.process.priority import let_others_first
from dfd_core.sections import ServeSettings
from dfd_core.settings import Settings
from workers.serve.app import make_app, make_parts
from workers.serve.console.app import mount
from workers.serve.tokens import ROLES, new_token

EXAMPLES = """examples:
  dfd serve --redis redis://host:6379/0                  # on http://127.0.0.1:8470, for this machine only
  dfd serve --new-token submit                           # prints a token, and its line for the file of tokens
  dfd serve --set serve.host=0.0.0.0 --set serve.tokens=/etc/dfd/tokens

What there is to ask stands at /docs, and in docs/api.md."""

_NICENESS = 5  # live windows go first; those of /v1/score have their own
_STOP_S = 5  # for requests in hand

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `dfd serve`."""
    parser.add_argument("--new-token", choices=list(ROLES), metavar="ROLE", help="print a token of this role, and end")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM."""
    if args.new_token is not None:
        token, line = new_token(ROLES[args.new_token])
        print(f"token, shown only now: {token}\nline for the file of serve.tokens: {line} NAME")
        return 0
    start_logging(settings.log)
    if not settings.serve.tokens and not is_loopback(settings.serve.host):
        raise SettingsError(
            f"serve.host {settings.serve.host} can be reached by others: make tokens (dfd serve --new-token operate) "
            "and name their file in serve.tokens, or serve on 127.0.0.1."
        )
    let_others_first(_NICENESS)
    parts = make_parts(settings)
    app = make_app(parts)
    if settings.serve.console == "on":
        mount(app, parts)
    listener = _listen(settings.serve)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_S,
        )
    )
    host, port = listener.getsockname()[:2]
    print(f"dfd at http://{f'[{host}]' if ':' in host else host}:{port}/", file=sys.stdout, flush=True)
    server.run(sockets=[listener])
    return 0


def _listen(settings: ServeSettings) -> socket.socket:
    """A socket that listens; SettingsError where the address is taken or not ours."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(found[4][:2], family=found[0])
    except OSError as error:
        raise SettingsError(
            f"Cannot serve on {settings.host} port {settings.port}: {error.strerror}. Choose others by serve.host and "
            "serve.port."
        ) from None
