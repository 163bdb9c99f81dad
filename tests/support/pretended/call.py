"""One function on the pretended GPU: `python -m tests.support.pretended.call module:name '[arguments]'`."""

import importlib
import json
import os
import sys

from tests.support.pretended import gpu

if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    gpu.install()
    function = getattr(importlib.import_module(f"tests.support.pretended.{module}"), name)
    print(json.dumps(function(*json.loads(sys.argv[2]))), flush=True)
    os._exit(0)  # autograd's thread of the device would outlive the interpreter
