"""The configuration, read from a file, or from the environment alone where there is none."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationInfo, field_validator, model_validator

from exporter.config.documents import KeyPath, YamlDocument, expand_variables, read_document
from exporter.config.environment import URLS, target_settings, variable
from exporter.config.files import in_time
from exporter.config.secret_files import HasSecrets, StrictModel
from exporter.config.stores import Target
from exporter.config.stores.backups import BackupsTarget
from exporter.config.thresholds import Limit, Overrides, limits
from exporter.errors import ConfigError
from exporter.units import Duration

EXPORTER = "exporter"  # stands in place of a target's name where something is about the exporter itself


class Poll(StrictModel):
    interval: Duration = 15.0


class Web(HasSecrets):
    """How access to the pages is restricted; `config_file` is a web.config.yml of the Prometheus exporter-toolkit."""

    config_file: Path | None = None
    token: SecretStr | None = None
    token_file: Path | None = None
    reload: bool = False

    @model_validator(mode="after")
    def _no_empty_token(self) -> Self:
        if self.guarded and not self.secret("token"):
            raise ValueError("the token is empty")
        return self

    @property
    def guarded(self) -> bool:
        """Return whether a token is configured, even where its file is missing now."""
        return self.token is not None or self.token_file is not None


class Readyz(StrictModel):
    """What /readyz requires beside the process itself: the targets of these groups."""

    require: tuple[str, ...] = ()


class Config(StrictModel):
    listen: str = "0.0.0.0:9187"
    poll: Poll = Poll()
    targets: tuple[Annotated[Target, Field(discriminator="store")], ...]
    queries: tuple[Path, ...] = ()
    disable_queries: tuple[str, ...] = ()
    thresholds: Overrides = Field(default_factory=dict)
    drain: Duration = 5.0
    readyz: Readyz = Readyz()
    web: Web = Web()
    _protected: frozenset[str] | None = PrivateAttr(default=None)

    @field_validator("listen")
    @classmethod
    def _valid_listen(cls, value: str) -> str:
        parse_listen(value)
        return value

    @field_validator("targets")
    @classmethod
    def _unique_names(cls, value: tuple[Target, ...]) -> tuple[Target, ...]:
        if not value:
            raise ValueError("name at least one server to watch")
        names = Counter(target.name for target in value)
        if EXPORTER in names:
            raise ValueError(f"no target can have the name {EXPORTER!r}: it is the exporter's own")
        for name, count in names.items():
            if count > 1:
                raise ValueError(f"two targets have the name {name!r}")
        return value

    @field_validator("readyz")
    @classmethod
    def _known_groups(cls, value: Readyz, info: ValidationInfo) -> Readyz:
        groups = {group for target in info.data.get("targets", ()) for group in target.groups}
        missing = [group for group in value.require if group not in groups]
        if missing and "targets" in info.data:  # wrong ones have their own message
            there = ", ".join(sorted(groups)) or "no groups at all"
            raise ValueError(f"no target is in the group {missing[0]!r}; there are {there}")
        return value

    def interval(self, target: Target) -> float:
        return target.interval or self.poll.interval

    def limits(self, target: Target) -> Mapping[str, Limit]:
        """Return the limits of one target: its own, else the configuration's, else the built-in ones."""
        return limits(self.thresholds, target.limits)

    def linked(self) -> Self:
        """Return the configuration with what its targets know of each other; later it may lose some of them."""
        targets = {target.name: target for target in self.targets}
        linked = self.model_copy(update={"targets": tuple(target.linked(targets) for target in self.targets)})
        if not any(isinstance(target, BackupsTarget) for target in self.targets):
            return linked
        return linked.with_private(_protected=frozenset[str]().union(*(target.protects for target in self.targets)))

    def covered(self, target: Target) -> bool | None:
        """Return whether backups of a target are watched; None where nobody watches any, or it holds no data."""
        return target.name in self._protected if self._protected is not None and target.holds_data else None

    def secrets(self) -> set[str]:
        """Return every secret as it was last read, so that logs can leave it out."""
        return self.web.secrets().union(*(target.secrets() for target in self.targets))


def load_config(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read the file; without one, make targets from the environment. Raise ConfigError with every problem."""
    if path is None:
        targets = target_settings(environment)
        if not targets:
            raise ConfigError([f"nothing to watch: name a file with --config, or set one of {URLS}"])
        document = YamlDocument(Path("environment"), {"targets": targets}, {})
        return document.validate(
            Config, document.data, lambda key: (variable(targets[int(key[1])]["store"], str(key[-1]), environment),)
        )
    document = read_document(path)
    config = document.validate(Config, expand_variables(document, environment), _without_store)
    sources = tuple(path.parent / source for source in config.queries)
    missing = [(("queries", index), problem) for index, source in enumerate(sources) if (problem := _missing(source))]
    if problems := [*_link_problems(config), *missing]:
        raise ConfigError([document.error_at(key, problem) for key, problem in problems])
    web = config.web
    if web.config_file is not None:
        web = web.model_copy(update={"config_file": path.parent / web.config_file})
    return config.model_copy(update={"queries": sources, "web": web}).linked()


def _link_problems(config: Config) -> Iterator[tuple[KeyPath, str]]:
    targets = {target.name: target for target in config.targets}
    for index, target in enumerate(config.targets):
        for key, problem in target.link_problems(targets):
            yield ("targets", index, *key), problem


def _missing(source: Path) -> str | None:
    try:
        return None if in_time(source, source.exists) else f"{source} is neither a folder nor a file"
    except OSError as error:
        return f"{source} cannot be read: {error.strerror}"


def _without_store(key: KeyPath) -> KeyPath:
    """Drop the store from targets.0.postgres.url: pydantic adds it for the chosen model, the file has no such key."""
    return (*key[:2], *key[3:]) if key[0] == "targets" else key


def parse_listen(value: str) -> tuple[str, int]:
    """Split host:port; an empty host stands for all addresses: of :9187, *:9187 and [::]:9187."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:  # noqa: PLR2004 - the highest port
        raise ValueError(f"{value!r} is not an address such as 0.0.0.0:9187")
    host = host.strip("[]")
    return "" if host in ("*", "::") else host, int(port)
