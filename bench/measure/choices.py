"""How the codes of every stage, or the experts, are used: rows of table `choices`."""

import torch
from torch import Tensor

from bench.model.codebook import perplexity, quantisation_error
from bench.model.experts import Experts
from bench.model.residual import Residual
from bench.model.vae import Model
from bench.tables.rows import ChoiceRow
from estimators import Discrete


@torch.no_grad()
def choices(model: Model, x: Tensor) -> list[ChoiceRow]:
    """Rows for examples `x [n, X]`: one for each stage of a residual quantiser, with the nearest code taken in every
    stage before it, or one for each expert. Other models have none."""
    if isinstance(model, Residual):
        stages = model.codebook.along_nearest(model.encode(x).params)
        each = [(*perplexity(q), quantisation_error(q)) for q in stages]
        return [
            {"part": f"stage.{stage}", "perplexity": spread, "usage": used, "quantisation_error": error}
            for stage, (spread, used, error) in enumerate(each, 1)
        ]
    if isinstance(model, Experts):
        q = model.encode(x)
        assert isinstance(q, Discrete)
        load, probability = (w.squeeze(-2).double().mean(0).tolist() for w in (q.harden(q.logits), q.probs))
        pairs = zip(load, probability, strict=True)
        return [{"part": f"expert.{e}", "load": a, "probability": b} for e, (a, b) in enumerate(pairs, 1)]
    return []
