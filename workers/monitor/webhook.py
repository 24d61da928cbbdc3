"""A webhook: each notice as JSON by POST, signed, and tried again until it is taken.

The signature is the HMAC-SHA256, under a secret that both sides hold, of the header `Dfd-Timestamp`, a full stop and
the body: who changes either, or sends an old message again much later, is found out. `Dfd-Key` is the same whenever a
notice comes again.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from urllib.parse import unquote, urlsplit

import urllib3

from dfd_core.process.backoff import Backoff
from workers.monitor.notices import Notice
from workers.monitor.relay import UndeliveredError

LONGEST_PAUSE_S = 60.0
_PASSING = (408, 425, 429)  # of what a client did wrong, these may pass


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """What `Dfd-Signature` holds."""
    return "sha256=" + hmac.new(secret, timestamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()


class Webhook:
    """Posts to one URL; redirects are not followed, for the signature is meant for that place."""

    name = "webhook"

    def __init__(
        self, url: str, secret: bytes, *, timeout_s: float = 10.0, give_up_s: float = 600.0, first_s: float = 1.0
    ) -> None:
        """`first_s` is the pause before the second attempt; each one doubles it."""
        parts = urlsplit(url)
        self._url, self._host, self._secret = url, parts.hostname, secret
        user = None if parts.username is None else f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        self._headers = urllib3.make_headers(basic_auth=user) if user else {}
        self._give_up_s, self._first_s = give_up_s, first_s
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=timeout_s), retries=False)

    def deliver(self, notice: Notice, over: threading.Event) -> None:
        """Post until somebody takes it; UndeliveredError after `give_up_s`, or where trying again is of no use."""
        pauses, began_s = Backoff(self._first_s, LONGEST_PAUSE_S), time.monotonic()
        while True:
            why, final = self._post(notice)
            if why is None:
                return
            pause_s = pauses.next_s()
            if final or time.monotonic() + pause_s - began_s > self._give_up_s or over.wait(pause_s):
                raise UndeliveredError(why)

    def close(self) -> None:
        """Close connections."""
        self._pool.clear()

    def _post(self, notice: Notice) -> tuple[str | None, bool]:
        """What is wrong, None: it was taken; and whether that is for good."""
        body, timestamp = notice.json().encode("ascii"), str(int(time.time()))
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "Dfd-Key": notice.key,
            "Dfd-Timestamp": timestamp,
        }
        if self._secret:
            headers["Dfd-Signature"] = sign(self._secret, timestamp, body)
        try:
            reply = self._pool.request("POST", self._url, body=body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            return f"{self._host} does not answer ({type(error).__name__})", False
        if 200 <= reply.status < 300:
            return None, True
        why = f"{self._host} answers {reply.status}"
        return why, 300 <= reply.status < 500 and reply.status not in _PASSING
