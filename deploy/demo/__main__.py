"""Run the demo: `python -m deploy.demo [--with neo4j,minio,qdrant] [--seconds 60]`."""

import argparse
import asyncio
import http.client
import signal
import sys
import time

from deploy.demo.exporter import HOST, Exporter
from deploy.demo.stage import PROBLEMS, STORES, stage, together
from deploy.demo.summary import Summary, read
from deploy.demo.terminal import Terminal
from testkit.process import StartError

_REDRAW_SECONDS = 2.0
_PRINT_SECONDS = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    options = _options()
    terminal = Terminal()
    try:
        asyncio.run(_demo(options.stores, options.seconds, terminal))
    except asyncio.CancelledError:  # by a signal, as the user wanted
        pass
    except PROBLEMS as problem:
        terminal.say(f"The demo cannot run: {problem}")
        return 1
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        terminal.close()
    terminal.say("stopped; nothing is left behind")
    return 0


async def _demo(names: list[str], seconds: float | None, terminal: Terminal) -> None:
    """Run until a signal, the end of the time or a closed terminal; stop all servers in any case."""
    _stop_on_signals(terminal)
    terminal.say("datatier-exporter demo: a shop's PostgreSQL 18 and its replica, under load")
    async with stage(names, terminal) as targets:
        exporter = Exporter(targets)
        try:
            [problem] = await together([exporter.start], [exporter])
            if problem is not None:
                raise problem
            terminal.say(*_explanation(exporter))
            await _watch(exporter, seconds, terminal)
            _say_stopping(terminal)
        finally:
            exporter.close()


def _stop_on_signals(terminal: Terminal) -> None:
    """Cancel the demo on the first signal; ignore later ones, as the servers are being stopped then."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def stop() -> None:
        for number in _SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        _say_stopping(terminal)
        task.cancel()

    for number in _SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN or number != signal.SIGHUP:  # nohup ignores SIGHUP
            loop.add_signal_handler(number, stop)


def _say_stopping(terminal: Terminal) -> None:
    terminal.keep()
    terminal.say("stopping ...")


def _explanation(exporter: Exporter) -> list[str]:
    """Return the addresses to look at, and the configuration to copy."""
    return [
        "",
        f"  {exporter.url}/           the status page, for people",
        f"  {exporter.url}/metrics    what Prometheus scrapes",
        f"  {exporter.url}/health     the data tier: 200, or 503 when it fails",
        f"  {exporter.url}/health/targets/shop-2?role=replica&max_lag=10s",
        "      for a load balancer: may this server get reads?",
        "",
        f"  The exporter's log: {exporter.log}",
        f"  Its configuration, to copy: {exporter.file}",
        *(f"    {line}" for line in exporter.configuration.splitlines()),
        "",
        "Ctrl-C stops everything and leaves nothing behind.",
        "",
    ]


async def _watch(exporter: Exporter, seconds: float | None, terminal: Terminal) -> None:
    """Show the summary every few seconds."""
    summary, began = Summary(), time.monotonic()
    pause = _REDRAW_SECONDS if terminal.redraws else _PRINT_SECONDS
    while not terminal.closed:
        if exporter.pid is None:
            raise StartError(f"the exporter ended; the end of its log:\n{exporter.log_tail()}")
        age = time.monotonic() - began
        lines = await _lines(exporter, summary, age)
        terminal.show(lines if terminal.redraws else [*lines, ""])
        left = pause if seconds is None else seconds - (time.monotonic() - began)
        if left <= 0:
            return
        await asyncio.sleep(min(pause, left))


async def _lines(exporter: Exporter, summary: Summary, age: float) -> list[str]:
    try:
        return summary.lines(await asyncio.to_thread(read, HOST, exporter.port), age)
    except (OSError, http.client.HTTPException) as problem:
        return [f"the exporter does not answer: {problem}"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument(
        "--with", dest="stores", type=_stores, default=[], metavar="STORES", help=f"add {', '.join(STORES)}"
    )
    parser.add_argument("--seconds", type=float, help="end by itself after so long")
    return parser.parse_args()


def _stores(value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if name not in STORES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(STORES)}")
    return list(dict.fromkeys(names))


if __name__ == "__main__":
    sys.exit(main())
