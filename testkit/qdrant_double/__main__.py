"""Run the double: `python -m testkit.qdrant_double --folder F --port P`; keys come by environment."""

import argparse
import logging
import os
from pathlib import Path

import uvicorn

from testkit.qdrant_double.app import App
from testkit.qdrant_double.state import Options, State


def main() -> None:
    parser = argparse.ArgumentParser(prog="qdrant_double", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", default=Options.version)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    keys = {name: os.environ.get(f"DOUBLE_{name.upper()}") for name in ("api_key", "read_only_key")}
    state = State(Options(arguments.folder, arguments.version, **keys))
    uvicorn.run(
        App(state), host="127.0.0.1", port=arguments.port, lifespan="off", log_level="warning", access_log=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    state.close()
    os._exit(0)  # an answer that a scene delays must not hold the end up


if __name__ == "__main__":
    main()
