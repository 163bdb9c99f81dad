"""What the configuration of a run holds, as types: a dictionary for each group of `conf/`, and the whole of them.

What a value may be is in `bench.config.rules`; a test holds the two to each other. A key that is not required exists
with some values of another key alone, as a codebook does with `latent.family=vq`.
"""

from bench.settings.groups import EstimatorGroup, LatentGroup, ModelGroup, ProbeGroup, Seeds, TrainGroup
from bench.settings.tuning import Tuning
from bench.settings.whole import Config, Described, Measurement

__all__ = [
    "Config",
    "Described",
    "EstimatorGroup",
    "LatentGroup",
    "Measurement",
    "ModelGroup",
    "ProbeGroup",
    "Seeds",
    "TrainGroup",
    "Tuning",
]
