"""Reload: read the settings again, and hand over what is different; what is wrong changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from exporter.changes import Changes, compare, reuse
from exporter.config import Config
from exporter.own_metrics import OwnMetrics
from exporter.settings import Settings
from exporter.threads import in_thread
from exporter.yaml_file import ConfigError

Load = Callable[[], Settings]
Apply = Callable[[Settings, Changes], Awaitable[None]]

_log = structlog.get_logger("exporter")


class Reloader:
    """Reload when asked: one after another, and once for all who ask meanwhile."""

    def __init__(self, settings: Settings, load: Load, apply: Apply, own: OwnMetrics) -> None:
        self.settings = settings
        self._load = load
        self._apply = apply
        self._own = own
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[Sequence[str]]] = []

    def ask(self) -> None:
        """Have a reload done, soon; callable from the event loop and its signal handlers at any time."""
        self._asked.set()

    async def reload(self) -> Sequence[str]:
        """Have a reload done; return the problems: with a single one, all stays as it was."""
        future: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self.ask()
        return await future

    async def run(self) -> None:
        """Do for ever what is asked."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            problems = await self._reload()
            for future in waiting:
                if not future.done():  # who asked may have gone
                    future.set_result(problems)

    async def _reload(self) -> Sequence[str]:
        try:
            new, changes = await in_thread(self._read)
        except ConfigError as error:
            return self._refused(error.problems)
        except (OSError, RuntimeError, MemoryError) as error:  # no descriptor, thread or memory is left
            return self._refused([f"the configuration could not be read: {error or 'out of memory'}"])
        self.settings = new
        await self._apply(new, changes)
        self._own.note_reload(success=True)
        _log.info("reloaded", **{kind: ", ".join(names) or None for kind, names in changes._asdict().items()})
        return ()

    def _refused(self, problems: Sequence[str]) -> Sequence[str]:
        self._own.note_reload(success=False)
        for problem in problems:
            _log.error("not reloaded, all stays as it was", error=problem)
        return problems

    def _read(self) -> tuple[Settings, Changes]:
        """Read and compare; in a thread, for a second is nothing with many files and targets."""
        old, new = self.settings, self._load()
        new = new._replace(config=_kept(old.config, new.config))
        new = reuse(old, new)
        return new, compare(old, new)


def _kept(old: Config, new: Config) -> Config:
    """Return the new configuration with what is as it was until a restart."""
    if new.listen != old.listen:
        _log.warning("listen changes with a restart only", listen=old.listen, configured=new.listen)
    was, configured = old.web.config_file, new.web.config_file
    if configured != was:
        _log.warning("web.config_file changes with a restart only", file=str(was), configured=str(configured))
    web = new.web.model_copy(update={"config_file": was})
    return new.model_copy(update={"listen": old.listen, "web": web})
