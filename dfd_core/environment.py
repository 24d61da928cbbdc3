"""Settings from one TOML file, then the environment (`DFD_SECTION_KEY`), then flags, in rising precedence.

This is the only module that reads the environment; an unknown variable is an error that names the nearest known one.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from dfd_core.errors import SettingsError
from dfd_core.names import without_addresses
from dfd_core.settings import Settings, checked, known_keys, nearest_key
from dfd_core.small_files import read_small_text
from dfd_core.streams import TABLES, StreamSpec, read_streams

ENV_PREFIX = "DFD_"
KERAS_BACKENDS = ("tensorflow", "torch", "jax")  # what KERAS_BACKEND, Keras's own variable, may say
CONFIG_VARIABLE = "DFD_CONFIG"  # path of the TOML file, when no --config is given


def load_settings(
    config: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from the TOML file, the environment and `flags` (`{"section.key": value}`), in rising precedence.

    Raises SettingsError for a file that cannot be read, an unknown key and a value of the wrong type or range.
    """
    environ = os.environ if environ is None else environ
    config = config_path(config, environ)
    values = {} if config is None else checked(_sections(_read_toml(config), config), str(config))
    values |= checked(_read_environment(environ), "the environment")
    values |= checked(flags or {}, "the command line")
    return Settings().with_values(values)  # ranges are judged once all is known: one layer may need another


def settings_of(args: argparse.Namespace) -> Settings:
    """What a command's flags --config, --set and --redis ask for; raises as `load_settings`."""
    flags = parse_assignments(args.set)
    if args.redis is not None:
        flags["redis.url"] = args.redis
    return load_settings(args.config, flags)


def check_keras_backend() -> None:
    """SettingsError where KERAS_BACKEND names none that Keras knows, or one that is not installed."""
    backend = os.environ.get("KERAS_BACKEND")
    if not backend:
        return
    if backend not in KERAS_BACKENDS:
        names = ", ".join(KERAS_BACKENDS)
        raise SettingsError(f"KERAS_BACKEND must be one of {names}, not '{without_addresses(backend, [backend])}'.")
    if importlib.util.find_spec(backend) is None:
        raise SettingsError(f"KERAS_BACKEND={backend} needs the package {backend}: pip install {backend}.")


def config_path(config: Path | None, environ: Mapping[str, str] | None = None) -> Path | None:
    """The settings file: the one that --config names, else the one that DFD_CONFIG does."""
    named = (os.environ if environ is None else environ).get(CONFIG_VARIABLE)
    return Path(named) if config is None and named else config


def load_streams(config: Path, settings: Settings) -> list[StreamSpec]:
    """The streams of a settings file, in order; SettingsError for the first thing that is wrong with them."""
    return read_streams(_read_toml(config), settings, str(config))


def address_of(spec: StreamSpec) -> str:
    """A stream's URL or path, from this machine's environment or files where it is kept there; SettingsError."""
    return spec.address(os.environ)


def parse_assignments(assignments: Iterable[str]) -> dict[str, object]:
    """`["section.key=value", ...]` as given with --set, as a mapping."""
    pairs: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set takes section.key=value, not '{without_addresses(assignment, [assignment])}'.")
        pairs[key.strip()] = value.strip()
    return pairs


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that make `load_settings` in a child process return equal settings."""
    return {
        ENV_PREFIX + dotted.replace(".", "_").upper(): str(getattr(getattr(settings, section), key))
        for dotted in known_keys()
        for section, key in [dotted.split(".")]
    }


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment for a child process that must have these settings, whatever our own variables say."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    return own | environment_of(settings)


def _read_toml(path: Path) -> dict[str, object]:
    try:
        tables: dict[str, object] = tomllib.loads(read_small_text(path))
    except OSError as error:
        raise SettingsError(f"Cannot read the settings file {path}: {error.strerror}.") from None
    except RecursionError:
        raise SettingsError(f"The settings file {path} is not valid TOML: it is nested too deeply.") from None
    except ValueError as error:  # TOML's own errors, bytes that are no text, numbers of thousands of digits
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}.") from None
    return tables


def _sections(tables: Mapping[str, object], path: Path) -> dict[str, object]:
    """`section.key` -> value of all tables but those of streams."""
    values: dict[str, object] = {}
    for section, table in tables.items():
        if section in TABLES:
            continue
        if not isinstance(table, dict):
            raise SettingsError(f"In {path}, '{section}' stands outside a [section]. {nearest_key(section)}")
        values.update({f"{section}.{key}": value for key, value in table.items()})
    return values


def _read_environment(environ: Mapping[str, str]) -> dict[str, object]:
    variables = {ENV_PREFIX + dotted.replace(".", "_").upper(): dotted for dotted in known_keys()}
    values: dict[str, object] = {}
    for name, value in environ.items():
        if not name.startswith(ENV_PREFIX) or name == CONFIG_VARIABLE:
            continue
        if name not in variables:
            near = difflib.get_close_matches(name, variables, n=1, cutoff=0.0)
            raise SettingsError(f"Unknown environment variable {name}; did you mean {near[0]}?")
        values[variables[name]] = value
    return values
