"""Reweighted wake-sleep: two objectives, one for each network.

* J. Bornschein, Y. Bengio, Reweighted Wake-Sleep, ICLR 2015, arXiv:1406.2751.
* T. A. Le, A. R. Kosiorek, N. Siddharth, Y. W. Teh, F. Wood, Revisiting Reweighted Wake-Sleep for Models with
  Stochastic Control Flow, UAI 2019, arXiv:1805.10469.
"""

import torch
from torch import Tensor

from estimators.base import Cost, Estimate, Estimator
from estimators.bounds import bound
from estimators.latents import VQ, Bernoulli, Categorical, Gaussian, Latent, Sequence


class ReweightedWakeSleep(Estimator):
    """Move q towards the samples in proportion to their normalised importance weights.

        q:        -sum_k v_k d log q(z_k),   v = softmax(-cost),   z_k ~ q
        decoder:  sum_k v_k d cost(z_k)

    The decoder's gradient is unbiased for L_K. q's is not, and is not meant to be: it estimates the gradient of
    KL(p(z|x) || q) by self-normalised importance sampling, with a bias of order 1/K, so at k = 1 it is the score of q
    and says nothing. Its `cost` is -L_K. Cost evaluations per estimate: k, none differentiated to z. This is the
    variant that updates q in the wake phase only; the sleep phase needs images sampled from the model.

    Args:
        k: samples of the bound, 2 or more.
    """

    latents = (Gaussian, Bernoulli, Categorical, VQ, Sequence)
    unbiased = False
    objective = "iwae"
    evaluations = "k / 0"
    paper = "Bornschein & Bengio 2015; Le et al. 2019"

    def __init__(self, k: int = 5):
        super().__init__()
        if k < 2:
            raise ValueError(f"ReweightedWakeSleep compares samples, so it needs k >= 2; got k={k}.")
        self.k = k

    def forward(self, q: Latent, cost: Cost, x: Tensor) -> Estimate:
        z = q.sample(self.k)  # [K, ..., B, *]
        c = cost(z)  # [K, ..., B]
        total = bound(c)  # [..., B]
        wake = (torch.softmax(-c.detach(), 0) * q.log_prob(z)).sum(0)
        return Estimate(loss=-(wake + total), cost=-total)  # total differentiates the decoder alone
