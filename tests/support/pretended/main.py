"""A module of the suite as a program on the pretended GPU: `python -m tests.support.pretended.main MODULE WORDS...`."""

import os
import runpy
import sys

from tests.support.pretended import gpu

if __name__ == "__main__":
    sys.argv[:] = sys.argv[1:]
    gpu.install()
    if sys.argv[0] != "pytest":  # which rewrites what it imports itself
        from bench.config import engines
        from bench.train import engine

        engine.BACKEND = "aot_eager"  # all but the generation of code
        engines.compiles = lambda on_cpu: True  # which needs no Triton
    status: object = 0
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code
    sys.stdout.flush()
    os._exit(status if isinstance(status, int) else 1)  # autograd's thread of the device would outlive the interpreter
