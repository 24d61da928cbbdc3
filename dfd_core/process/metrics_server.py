"""Serves a process's own /metrics, and never dies of a taken port."""

from __future__ import annotations

import logging

from prometheus_client import CollectorRegistry, start_http_server

PORTS_TRIED = 20

log = logging.getLogger(__name__)


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> int | None:
    """Serve `registry` from a daemon thread; the port, or None when it serves nothing.

    Port -1 disables, 0 takes a free one; where `port` is taken, the next free one above it is used, with one warning.
    """
    if port < 0:
        return None
    for candidate in range(port, port + PORTS_TRIED) if port else [0]:
        try:
            server, _ = start_http_server(candidate, host, registry)
        except OSError:
            continue
        if candidate != port:
            log.warning("Port %d is taken: /metrics is served at http://%s:%d/metrics.", port, host, candidate)
        return int(server.server_port)
    log.warning("No free port from %d to %d on %s: /metrics is not served.", port, port + PORTS_TRIED - 1, host)
    return None
