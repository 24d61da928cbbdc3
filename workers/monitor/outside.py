"""Who outside is told of verdicts, as the settings name them: [webhook] and [mqtt]."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import urlsplit

from dfd_core.errors import SettingsError
from dfd_core.settings import Settings
from dfd_core.small_files import read_small
from workers.monitor.relay import Relay, Target

Face = tuple[str, str, int]  # stream, run, track


def check_outside(settings: Settings) -> None:
    """SettingsError where a URL or a secret cannot be used, or a package is missing."""
    _check_url("webhook.url", settings.webhook.url, ("http", "https"))
    _check_url("mqtt.url", settings.mqtt.url, ("mqtt", "mqtts"))
    _check_url("log.traces", settings.log.traces, ("http", "https"))
    _secret(settings)
    _ca_file(settings)
    for key in ("topic", "discovery"):
        written = str(getattr(settings.mqtt, key))
        if set(written) & set("+#@\0") or "://" in written:  # an address in the wrong place would tell its password
            raise SettingsError(f"mqtt.{key} is where dfd publishes: write it without + and #, and no address.")
    try:
        if settings.webhook.url:
            import urllib3  # noqa: F401  only whether it is there
        if settings.mqtt.url:
            import paho.mqtt.client  # noqa: F401
    except ModuleNotFoundError as error:
        raise SettingsError(f"Telling others needs the package {error.name}: pip install 'dfd[sinks]'.") from None


def open_outside(settings: Settings, lasting: Collection[Face], count: Callable[[str, str], None]) -> list[Relay]:
    """A relay for each that is named; `lasting` are the faces whose alarms go on. SettingsError as above."""
    check_outside(settings)
    relays = []
    if settings.webhook.url:
        from workers.monitor.webhook import Webhook

        hook = settings.webhook
        target: Target = Webhook(hook.url, _secret(settings), timeout_s=hook.timeout_s, give_up_s=hook.give_up_s)
        relays.append(Relay(target, count, Path(hook.dead_letters).expanduser() if hook.dead_letters else None))
    if settings.mqtt.url:
        from workers.monitor.mqtt import Mqtt

        mqtt = settings.mqtt
        told = Mqtt(mqtt.url, mqtt.topic, mqtt.discovery, lasting, ca_file=_ca_file(settings))
        relays.append(Relay(told, count))
    return relays


def _check_url(key: str, url: str, schemes: tuple[str, ...]) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SettingsError(f"{key} is no URL that can be told: write {schemes[0]}://HOST:PORT.")
    if "@" in url and "@" not in parts.netloc:  # a password's / ? or # ended the host's name
        raise SettingsError(f"{key} has an @ behind its host: write / ? # and @ of a password as %2F %3F %23 and %40.")


def _secret(settings: Settings) -> bytes:
    """What requests are signed with; empty: they are not."""
    path = settings.webhook.secret_file
    if not settings.webhook.url or not path:
        return b""
    try:
        secret = read_small(Path(path).expanduser()).strip()
    except OSError as error:
        raise SettingsError(f"The secret {path} (webhook.secret_file) cannot be read: {error.strerror}.") from None
    if len(secret) < 16:
        raise SettingsError(f"The secret in {path} is shorter than 16 characters: openssl rand -hex 32 makes one.")
    return secret


def _ca_file(settings: Settings) -> str:
    """The file of `mqtt.ca_file`; empty: none is named."""
    if not settings.mqtt.url or not settings.mqtt.ca_file:
        return ""
    path = str(Path(settings.mqtt.ca_file).expanduser())
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise SettingsError(f"{path} (mqtt.ca_file) holds no certificate in PEM.") from None
    except OSError as error:
        raise SettingsError(f"The certificates {path} (mqtt.ca_file) cannot be read: {error.strerror}.") from None
    return path
