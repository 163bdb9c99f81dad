"""The most probable category alone, weighed by its probability: how sparse mixtures of experts train their router.

* W. Fedus, B. Zoph, N. Shazeer, Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient
  Sparsity, Journal of Machine Learning Research 23, 2022, arXiv:2101.03961.
* F. Yao et al., DenseMixer: Improving MoE Post-Training with Precise Router Gradient, 2025 (an open report with code).
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.latents import Categorical


class Top1Gate(Estimator[Categorical]):
    """Forward the most probable category times its probability, backward through that probability alone.

        d cost(z),   z_c = p_c where c is the most probable of its coordinate, and 0 elsewhere

    A decoder that is linear in z, as a mixture of experts is before its likelihood, is scaled by the gate, and the
    router learns that scale: a category that is not chosen has no say but through the normalisation of p. Biased for
    the gradient of E cost, in the decoder as well, which sees an output that no sample has. Nothing is drawn. Cost
    evaluations per estimate: 1, differentiated to z.

    Differs from the paper in that no loss balances the load of the experts.
    """

    name = "top1_gate"
    latents = (Categorical,)
    unbiased = False
    noiseless = True
    evaluations = "1 / 1"
    paper = "Fedus, Zoph & Shazeer 2022"
    kl = "analytic"

    def forward(self, q: Categorical, cost: Cost, x: Tensor) -> Estimate:
        c = cost(gated(q)[None]).squeeze(0)  # [..., B]
        return Estimate(loss=c, cost=c)  # c differentiates the gate and the decoder


class DenseMixer(Estimator[Categorical]):
    """Forward as top1_gate, backward as if every category had been mixed in by its probability.

        d cost(z),   z as of top1_gate,   d z_c = d p_c for every category c

    The router hears of every expert's output, by the slope of the cost at the output of one: the sum over all, without
    the curvature of the cost between them. The decoder's gradient is that of top1_gate. Biased, in the decoder as well.
    Nothing is drawn. Cost evaluations per estimate: 1, differentiated to z; of a mixture of experts that is one
    evaluation of each.

    Differs from the report in the number of experts that are mixed, here one.
    """

    latents = (Categorical,)
    unbiased = False
    noiseless = True
    evaluations = "1 / 1"
    paper = "Yao et al. 2025"
    kl = "analytic"

    def forward(self, q: Categorical, cost: Cost, x: Tensor) -> Estimate:
        probs = q.probs
        c = cost((gated(q).detach() + (probs - probs.detach()))[None]).squeeze(0)  # the bracket is exactly 0
        return Estimate(loss=c, cost=c)  # c differentiates every probability and the decoder


def gated(q: Categorical) -> Tensor:
    """The most probable category of every coordinate times its probability `[..., B, D, C]`, with gradient to that."""
    return q.harden(q.logits.detach()) * q.probs
