"""Codebooks of the vector-quantised family."""

from bench.model.codebook import Codebook
from tests.support.small import LATENTS

RULES = {
    "simvq": {"codebook": "simvq"},
    "fsq": {"codebook": "fsq", "levels": [4, 3], "codes": 12, "dim": 2},
    "lfq": {"codebook": "lfq", "codes": 8, "dim": 3},
}


def codebook(rule, **changes) -> Codebook:
    return Codebook(LATENTS["vq"] | RULES[rule] | changes).double()
