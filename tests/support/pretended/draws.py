"""What gradient draws launch on the pretended GPU."""

import torch

from bench.config import plugins
from bench.measure.gradient.draws import take
from bench.speed.problems import LEAD, problem
from tests.support.pretended.gpu import Watch


def kernels(draws: int, memory: float) -> dict[str, int]:
    """Kernels of RLOO's draws on 784-200-200-200 with 100 images, of the encoder and of both parts. A tenth of the
    draws in a tenth of the memory are as many chunks."""
    objective, x = problem(torch.device("cuda"), LEAD)
    objective = objective.under(plugins.estimator("rloo"))  # 4 samples
    found = {}
    for name, decoder in (("encoder", False), ("both", True)):
        with Watch() as watch:
            take(objective, x, draws, decoder=decoder, memory=memory)
        found[name] = watch.kernels.total()
    return found
