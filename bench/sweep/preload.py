"""What the server of the pool imports and does once for all jobs. Only that server imports this module.

Nothing here touches CUDA: a process forked after CUDA has started cannot use it.
"""

import contextlib
import gc
import io

import pyarrow.parquet
import torch._dynamo  # the first step of an optimiser asks for it
from hydra.core.plugins import Plugins

from bench import machine
from bench.config import code, plugins
from bench.run import provenance, single
from bench.sweep import launchers, worker

__all__ = ["pyarrow", "single", "torch", "worker"]

with contextlib.redirect_stderr(io.StringIO()):  # the command has said it
    plugins.register()
Plugins.instance()
launchers.register()
provenance.commit()
code.remember()
machine.device_name("cpu")
gc.collect()
gc.freeze()  # else the first collection in every job copies all pages that it shares with this process
