"""Models whose secrets may lie in files, which are read at each use: a rotated secret needs no restart."""

from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from exporter.config.files import read_bounded


class StrictModel(BaseModel):
    """A part of the configuration: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def with_private(self, **private: object) -> Self:
        """Return a copy with other private attributes: what no user writes, and what is found later."""
        copy = self.model_copy()
        for name, value in private.items():
            setattr(copy, name, value)
        return copy


class HasSecrets(StrictModel):
    """A part that holds secrets: instead of each, `<name>_file` may name the file that holds it."""

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
        """Return a secret's present value; raise ValueError where its file cannot be read."""
        file: Path | None = getattr(self, f"{name}_file")
        if file is not None:
            self._read[name] = read_file(file)
            return self._read[name]
        value: SecretStr | None = getattr(self, name)
        return value.get_secret_value() if value is not None else None

    def secrets(self) -> set[str]:
        """Return every secret as it was last read; each log line calls this, so it reads only files not read yet."""
        for name in self._in_files - self._read.keys():
            self.secret_or_none(name)
        return {*self._written, *self._read.values()}

    def present_secrets(self) -> set[str]:
        """Return every secret under a key of its own as it is now, but those of files that cannot be read."""
        return {secret for name in self._secret_names() if (secret := self.secret_or_none(name))}

    @cached_property
    def _written(self) -> frozenset[str]:
        values = [getattr(self, name) for name in self._secret_names()]
        return frozenset(value.get_secret_value() for value in values if value)

    @cached_property
    def _in_files(self) -> frozenset[str]:
        return frozenset(name for name in self._secret_names() if getattr(self, f"{name}_file"))

    @cached_property
    def _read(self) -> dict[str, str]:
        return {}

    def secret_or_none(self, name: str) -> str | None:
        """Return a secret's present value, None where its file cannot be read."""
        try:
            return self.secret(name)
        except ValueError:
            return None


def read_file(file: Path) -> str:
    """Return a file's text without the last line's end; raise ValueError where it cannot be read."""
    try:
        return read_bounded(file).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"{file} cannot be read: {reason}") from None
