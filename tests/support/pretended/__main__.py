"""The whole sweep on the pretended GPU: `python -m tests.support.pretended [OPTION ...]`, by default of every option.

A line a pair, and at the end how many there were and what is wrong with them. Every option on every latent family takes
a few minutes; with --models, on every other model and problem of the suite, a quarter of an hour. The tests have some
of the pairs.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.support.pretended import library

CACHE = Path(__file__).parents[3] / ".pytest_cache" / "d" / "pretended_gpu"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.pretended", description=__doc__)
    parser.add_argument("options", nargs="*", metavar="OPTION", help="estimators (default: every option)")
    parser.add_argument("--models", action="store_true", help="other models and problems than a VAE of one layer")
    sitting = "python -m bench.gpu with these words of its own, each part at a size for a processor"
    parser.add_argument("--sitting", nargs=argparse.REMAINDER, metavar="WORD", help=sitting)
    return parser.parse_args(argv)


def main(options: list[str], module: str = "sweep") -> int:
    """Exit status: 0; 1 where something is wrong, or where there is no compiler."""
    CACHE.mkdir(parents=True, exist_ok=True)
    made = library.compiled(CACHE)
    if made is None:
        print(library.NO_COMPILER, file=sys.stderr)
        return 1
    environment = os.environ | {library.VARIABLE: str(made), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tests.support.pretended.main", f"tests.support.pretended.{module}", *options]
    code = subprocess.run(words, env=environment, check=False).returncode
    if code < 0:
        print(f"The pretended GPU crashed behind the last line (signal {-code}).", file=sys.stderr)
    return abs(code)


if __name__ == "__main__":
    chosen = arguments()
    if chosen.sitting is not None:
        sys.exit(main(chosen.sitting, "sitting"))
    sys.exit(main(chosen.options, "models" if chosen.models else "sweep"))
