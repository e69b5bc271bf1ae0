"""The command line: serve (the default), check, rules, version."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from exporter import __version__
from exporter.config.config import load_config, parse_listen
from exporter.config.environment import URLS
from exporter.config.sharding import Shard, parse_shard
from exporter.config.thresholds import limits
from exporter.errors import ConfigError
from exporter.logs import LOG_LEVELS, configure_logs
from exporter.polling.watchdog import within_a_minute
from exporter.settings import ConfigLoader, RuntimeConfig

_LAST_STANDARD_STREAM = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; exit 0 when all is well, 1 when a target or query fails, 2 when the configuration is wrong."""
    _occupy_standard_streams()
    options = _parser().parse_args(arguments)
    if options.command == "version":
        print(f"datatier-exporter {__version__}")
        return 0
    if options.command == "serve":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])  # until a reload is possible
    try:
        if options.command == "rules":
            return _rules(options)
        loader = ConfigLoader(options.config, options.shard, options.web_config_file)
        with within_a_minute():
            settings = loader.load()
        configure_logs(options.log_format, options.log_level, loader.secrets)
        if options.command == "check":
            return _check(settings, options.format)
        return _serve(settings, loader, options.listen)
    except ConfigError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    except BrokenPipeError:  # as in `check | head`; without the null device, Python would report it again on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _occupy_standard_streams() -> None:
    """Open the null device for closed standard streams: uvloop aborts when a socket gets one of their descriptors."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD_STREAM:
        pass
    os.close(descriptor)


def _check(settings: RuntimeConfig, kind: str) -> int:
    from exporter import check  # noqa: PLC0415 - imported only by this command
    from exporter.web.event_loop import PatchedUvloop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=PatchedUvloop) as runner:  # as in serve: it limits what a server may send
        reports = runner.run(check.check(settings))
    print(check.as_json(reports) if kind == "json" else check.as_text(reports), flush=True)
    return 1 if check.failed(reports) else 0


def _rules(options: argparse.Namespace) -> int:
    from exporter import alert_rules  # noqa: PLC0415 - imported only by this command
    from exporter.alert_rules import TargetLimits  # noqa: PLC0415

    config = load_config(options.config) if options.config else None
    wanted = options.names or (
        alert_rules.names_for(target.store for target in config.targets) if config else alert_rules.names()
    )
    if unknown := sorted(set(wanted) - set(alert_rules.names())):
        raise ConfigError([f"no rules are named {', '.join(unknown)}; there are {', '.join(alert_rules.names())}"])
    own = [
        TargetLimits(target.name, target.store, target.limits, frozenset(target.checks))
        for target in (config.targets if config else ())
    ]
    groups = alert_rules.groups(wanted, limits(config.thresholds if config else {}), options.job, own)
    print(
        alert_rules.as_operator(groups) if options.format == "operator" else alert_rules.as_rule_file(groups),
        end="",
        flush=True,
    )
    return 0


def _serve(settings: RuntimeConfig, loader: ConfigLoader, listen: str | None) -> int:
    from exporter.web.server import serve  # noqa: PLC0415 - imported only by this command

    return serve(settings, loader.load, listen or settings.config.listen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="datatier-exporter", description="Watch PostgreSQL, Qdrant, Neo4j and MinIO for Prometheus and /health."
    )
    parser.set_defaults(command="serve", config=None, web_config_file=None, listen=None, shard=None)
    parser.set_defaults(log_level="info", log_format="logfmt")
    _add_common(parser)
    parser.add_argument(
        "--listen", metavar="HOST:PORT", type=_address, help="where to serve (default: the file's, 0.0.0.0:9187)"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.default = "serve"
    serve = commands.add_parser("serve", help="poll and serve (the default)")
    _add_common(serve)
    serve.add_argument("--listen", metavar="HOST:PORT", type=_address, default=argparse.SUPPRESS, help="where to serve")
    check = commands.add_parser("check", help="validate the configuration, connect, run each query once")
    _add_common(check)
    check.add_argument("--format", choices=("text", "json"), default="text", help="how to print the outcome")
    _add_rules(commands.add_parser("rules", help="print the alert rules, with the limits of the configuration"))
    commands.add_parser("version", help="print the version")
    return parser


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a store, core, exporter or slo (default: all that is watched)"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS,
        help="whose limits and stores to take (default: our limits, all stores)",
    )  # fmt: skip
    parser.add_argument("--job", default="datatier", help="the exporter's job in Prometheus (default: datatier)")
    parser.add_argument(
        "--format", choices=("prometheus", "operator"), default="prometheus", help="a rule file, or a PrometheusRule"
    )


def _address(value: str) -> str:
    try:
        parse_listen(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return value


def _shard(value: str) -> Shard:
    try:
        return parse_shard(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS,
        help=f"configuration (default: one target for each of {URLS} that is set)",
    )  # fmt: skip
    parser.add_argument(
        "--shard", type=_shard, metavar="I/N", default=argparse.SUPPRESS,
        help="watch the I-th of N shares of the targets, counted from 0 (default: all of them)",
    )  # fmt: skip
    parser.add_argument(
        "--web.config.file", dest="web_config_file", type=Path, metavar="FILE", default=argparse.SUPPRESS,
        help="TLS and users of the pages, as the Prometheus exporters have them (default: the file's)",
    )  # fmt: skip
    parser.add_argument("--log-level", choices=LOG_LEVELS, default=argparse.SUPPRESS, help="default: info")
    parser.add_argument("--log-format", choices=("logfmt", "json"), default=argparse.SUPPRESS, help="default: logfmt")


if __name__ == "__main__":
    sys.exit(main())
