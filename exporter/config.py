"""What the user configures; the only reader of files, environment and secrets."""

import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from exporter.core_metrics import CORE_METRICS
from exporter.duration import Duration
from exporter.environment import target_settings, variable
from exporter.thresholds import THRESHOLDS, Limit
from exporter.yaml_file import ConfigError, Document, KeyPath, expand_variables, read_document

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED_LABELS = {"target", "store", "le", "quantile", "job", "instance"}
_CORE_LABELS = {label for core in CORE_METRICS.values() for label in core.labels}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Globs(_Strict):
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    def admits(self, name: str) -> bool:
        """Tell whether some glob includes the name and none excludes it."""
        included, excluded = (any(fnmatchcase(name, glob) for glob in globs) for globs in (self.include, self.exclude))
        return included and not excluded


class TargetBase(_Strict):
    """One server. `url` is a secret: it may carry a password, and addresses are shown to nobody."""

    name: str
    url: SecretStr
    required: bool = True
    groups: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    interval: Duration | None = None

    @field_validator("name")
    @classmethod
    def _valid_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(f"{value!r} must start with a letter or digit, then letters, digits, '_', '.' or '-'")
        return value

    @field_validator("labels")
    @classmethod
    def _valid_labels(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not _LABEL.fullmatch(name) or name in _RESERVED_LABELS | _CORE_LABELS:
                raise ValueError(f"{name!r} cannot be a label of a target: it is taken, or no label name")
        return value

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(tuple(f"{scheme}://" for scheme in cls.schemes())):
            raise ValueError(f"expected a URL that starts with {' or '.join(s + '://' for s in cls.schemes())}")
        try:
            urlsplit(value.get_secret_value())
        except ValueError:  # its text would repeat the URL
            raise ValueError("not a URL; special characters of a password are written as %40 and the like") from None
        return value

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return ("http", "https")

    @field_validator("*")
    @classmethod
    def _readable(cls, value: object) -> object:
        if isinstance(value, Path):
            _read_file(value)
        return value

    @model_validator(mode="after")
    def _one_source_a_secret(self) -> Self:
        for name in self._secret_names():
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"{name} and {name}_file exclude each other")
        return self

    @classmethod
    def _secret_names(cls) -> set[str]:
        return {name for name in cls.model_fields if f"{name}_file" in cls.model_fields}

    def secret(self, name: str) -> str | None:
        """Return a secret's present value; its file is read each time, so that rotation needs no restart."""
        file: Path | None = getattr(self, f"{name}_file")
        if file is not None:
            return _read_file(file)
        value: SecretStr | None = getattr(self, name)
        return value.get_secret_value() if value is not None else None

    def secrets(self) -> set[str]:
        """Return the present value of every secret, a password inside the URL included."""
        url = urlsplit(self.url.get_secret_value())
        values = [self._present(name) for name in self._secret_names()]
        return {value for value in (*values, url.password, unquote(url.password or "")) if value}

    def _present(self, name: str) -> str | None:
        try:
            return self.secret(name)
        except ValueError:  # a file that went away hides nothing any more
            return None


class PostgresTarget(TargetBase):
    store: Literal["postgres"]
    password: SecretStr | None = None
    password_file: Path | None = None
    databases: Globs = Globs(exclude=("template*", "rdsadmin", "azure_maintenance", "azure_sys", "cloudsqladmin"))

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return ("postgresql", "postgres")


class QdrantTarget(TargetBase):
    store: Literal["qdrant"]
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    ca_file: Path | None = None


class Neo4jTarget(TargetBase):
    store: Literal["neo4j"]
    user: str = "neo4j"
    password: SecretStr | None = None
    password_file: Path | None = None
    databases: Globs = Globs()
    ca_file: Path | None = None

    @classmethod
    def schemes(cls) -> tuple[str, ...]:
        return ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")


class MinioTarget(TargetBase):
    store: Literal["minio"]
    access_key: SecretStr | None = None
    access_key_file: Path | None = None
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None
    region: str = "us-east-1"
    ca_file: Path | None = None


Target = PostgresTarget | QdrantTarget | Neo4jTarget | MinioTarget


class Poll(_Strict):
    interval: Duration = 15.0


class Config(_Strict):
    listen: str = "0.0.0.0:9187"
    poll: Poll = Poll()
    targets: tuple[Annotated[Target, Field(discriminator="store")], ...]
    queries: tuple[Path, ...] = ()
    thresholds: dict[str, Limit] = {}
    drain: Duration = 5.0

    @field_validator("listen")
    @classmethod
    def _valid_listen(cls, value: str) -> str:
        parse_listen(value)
        return value

    @field_validator("thresholds")
    @classmethod
    def _known_thresholds(cls, value: dict[str, Limit]) -> dict[str, Limit]:
        for name in value:
            if name not in THRESHOLDS:
                raise ValueError(f"{name!r} is not a threshold; there are {', '.join(sorted(THRESHOLDS))}")
        return value

    @field_validator("targets")
    @classmethod
    def _some_of_different_names(cls, value: tuple[Target, ...]) -> tuple[Target, ...]:
        if not value:
            raise ValueError("name at least one server to watch")
        names = [target.name for target in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two targets have the name {name!r}")
        return value

    def interval(self, target: Target) -> float:
        return target.interval or self.poll.interval

    def secrets(self) -> set[str]:
        """Return every secret's present value, so that logs can leave it out."""
        return {secret for target in self.targets for secret in target.secrets()}


def load_config(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read the file, or make one target a store from the environment alone; raise ConfigError with every problem."""
    if path is None:
        targets = target_settings(environment)
        if not targets:
            raise ConfigError(
                ["nothing to watch: name a file with --config, or set POSTGRES_URL, QDRANT_URL, NEO4J_URL or MINIO_URL"]
            )
        document = Document(Path("environment"), {"targets": targets}, {})
        return document.validate(
            Config,
            document.data,
            lambda key: (variable(targets[int(key[1])]["store"], str(key[-1]), environment),),
        )
    document = read_document(path)
    config = document.validate(Config, expand_variables(document, environment), _without_store)
    folders = tuple(path.parent / folder for folder in config.queries)
    missing = [(("queries", index), folder) for index, folder in enumerate(folders) if not folder.is_dir()]
    if missing:
        raise ConfigError([document.problem(key, f"{folder} is not a folder") for key, folder in missing])
    return config.model_copy(update={"queries": folders})


def _without_store(key: KeyPath) -> KeyPath:
    """Drop the store from targets.0.postgres.url: it tells pydantic the model, and is no key of the file."""
    return (*key[:2], *key[3:]) if key[0] == "targets" else key


def parse_listen(value: str) -> tuple[str, int]:
    """Split host:port; [::1]:9187 and :9187 are fine."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:  # noqa: PLR2004 - the highest port
        raise ValueError(f"{value!r} is not an address such as 0.0.0.0:9187")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - what a bare port means everywhere


def _read_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"{file} cannot be read: {reason}") from None
