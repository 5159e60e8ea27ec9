"""One family of jobs, in a process of its own: its rows as JSON on standard output."""

from __future__ import annotations

import json
import sys
from importlib import import_module

from bench.peers.harness import Disagreement


def main(module: str, *options: str) -> int:
    try:
        rows = import_module(f"bench.peers.{module}").rows("--quick" in options)
    except Disagreement as error:
        print(error, file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing; `make peers` installs it", file=sys.stderr)
        return 1
    print(json.dumps(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
