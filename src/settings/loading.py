"""From every source to one `Settings`: the nearest source counts, and aliases that disagree are named."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from src.domain.errors import ConfigurationError
from src.domain.limits import FIELDS, limits_for, nearest_limit
from src.domain.market import Mode
from src.settings.model import Settings
from src.settings.names import NAMES, RISK_PREFIX, names_of
from src.settings.sources import Given, Source, from_env_file, from_environment, from_yaml

_log = logging.getLogger(__name__)
_ROOT: Final = Path(__file__).resolve().parents[2]
_CHECK_OFFSET: Final = 100


def load_settings(
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    root: Path | None = None,
    **explicit: object,
) -> Settings:
    """The settings in force; `explicit` names fields of `Settings`, and None there means "not given".

    `config` is a YAML file that must exist; without it, `config.yaml` at the root is read when there is one.
    Raises ConfigurationError, which names the setting and where it stands.
    """
    from src.settings.schema import validated

    if unknown := explicit.keys() - NAMES.keys():
        raise TypeError(f"load_settings() takes no {', '.join(sorted(unknown))}")
    root = _ROOT if root is None else root
    sources = _sources(config, os.environ if environ is None else environ, root)

    values = {field: value for field, value in explicit.items() if value is not None}
    labels = {field: field for field in values}
    written = _written(sources, values.get("account_type"))
    for field, given in written.items():
        if field not in values:
            values[field], labels[field] = given.value.strip(), f"{given.name} ({given.place})"
    typed = validated(values, labels)
    given_fields = frozenset(typed)

    if "client_id" in typed:
        typed.setdefault("check_client_id", typed["client_id"] + _CHECK_OFFSET)
    if "state_dir" in typed:
        # A relative path is the caller's when it is an argument, and the project's when it stands in a file.
        base = Path.cwd() if labels["state_dir"] == "state_dir" else root
        typed["state_dir"] = base / typed["state_dir"].expanduser()
    return Settings(**typed, risk=_risk(sources, typed.get("account_type", "paper")), given=given_fields)


def written_settings(
    *, config: Path | None = None, environ: Mapping[str, str] | None = None, root: Path | None = None
) -> Mapping[str, Given]:
    """For each field that a source gives, the line that counts, as it is written: for showing where a value is from."""
    root = _ROOT if root is None else root
    return _written(_sources(config, os.environ if environ is None else environ, root), None)


def _sources(config: Path | None, environ: Mapping[str, str], root: Path) -> tuple[Source, ...]:
    """Nearest first."""
    if config is not None and not config.is_file():
        raise ConfigurationError(f"there is no configuration file {config}")
    file = root / "config.yaml" if config is None else config
    return (
        from_environment(environ),
        from_env_file(root / ".env"),
        from_yaml(file) if file.exists() else {},
    )


def _written(sources: Sequence[Source], account_type: object) -> dict[str, Given]:
    """For each field that a source gives, the line that counts."""
    kind = _first(NAMES["account_type"], sources) if account_type is None else None
    mode = str(account_type or (kind.value if kind else "paper")).strip().lower()
    found = {field: _first(names_of(field, mode), sources) for field in NAMES}
    return {field: given for field, given in found.items() if given}


def _first(names: Sequence[str], sources: Sequence[Source]) -> Given | None:
    """The nearest source's line, the canonical name first; one warning when another name says something else."""
    lines = [source[name] for source in sources for name in names if name in source]
    if not lines:
        return None
    counts = lines[0]
    if others := [line for line in lines if line.name != counts.name and not _agree(line, counts)]:
        named = ", ".join(f"{line.name} ({line.place})" for line in others)
        _log.warning("%s (%s) counts, and disagrees with %s: remove one", counts.name, counts.place, named)
    return counts


def _agree(one: Given, other: Given) -> bool:
    return one.value.strip().casefold() == other.value.strip().casefold()


def _risk(sources: Sequence[Source], account_type: str) -> Mapping[str, str]:
    """The limits as they are written; ConfigurationError for one that there is not, or that cannot be meant."""
    merged: dict[str, Given] = {}
    for source in reversed(sources):
        merged |= {name: given for name, given in source.items() if name.startswith(RISK_PREFIX)}
    for name, given in merged.items():
        if name not in FIELDS:
            raise ConfigurationError(f"{name} ({given.place}) is no limit; {nearest_limit(name)}")
    risk = MappingProxyType({name: given.value.strip() for name, given in merged.items()})
    limits_for(Mode(account_type), risk)
    return risk
