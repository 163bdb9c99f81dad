"""Bayesian logistic regression: Mohamed, Rosca, Figurnov & Mnih, JMLR 21, 2020, arXiv:1906.10652, section 8."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.datasets import Data
from bench.problems.base import Parameters, Problem
from estimators import Gaussian

ROWS, COLUMNS = 569, 31  # of scikit-learn's breast cancer data with the bias appended


class Likelihood(nn.Module):
    """log p(label | features, weights). A module, so that measuring sees how much memory its outputs take."""

    def forward(self, rows: Tensor, weights: Tensor) -> Tensor:
        """`rows [B, N, 32]`, the label last, `weights [K, ..., B, 31]` -> `[K, ..., B, N]`, in nats."""
        logits = torch.einsum("...bd,bnd->...bn", weights, rows[..., :-1])
        return rows[..., -1] * logits - F.softplus(logits, threshold=40)


class LogisticRegression(Problem):
    """min -569 E mean log p(label | features, w) + KL(q || N(0, I)) over a diagonal Gaussian q(w), from N(0, I).

    One example is a whole minibatch, its rows side by side: all of them share the weights that are drawn, so that
    `x [1, 32 N]` holds N rows and q has one example, whatever N.
    """

    name = "logistic_regression"
    family = Gaussian
    has_prior = True

    def __init__(self) -> None:
        super().__init__(Parameters(mean=torch.zeros(COLUMNS), log_std=torch.zeros(COLUMNS)))
        self.likelihood = Likelihood()

    def cost(self, x: Tensor, z: Tensor) -> Tensor:
        rows = x.unflatten(-1, (-1, COLUMNS + 1))
        return -ROWS * self.likelihood(rows, z).mean(-1)

    def data(self, device: torch.device, dtype: torch.dtype) -> "RowsOfOneLatent":
        return breast_cancer(device=device, dtype=dtype)


class RowsOfOneLatent(Data):
    """Rows that share one latent: a batch of B of them is one example, `x [1, B X]`."""

    def batch(self, chosen: Tensor, noise: torch.Generator) -> Tensor:
        """Rows of these indices `[..., B]`, side by side: `[..., 1, B X]`."""
        return super().batch(chosen, noise).flatten(-2).unsqueeze(-2)

    def fixed(self, split: str, n: int | None, seed: int) -> Tensor:
        """All rows `[1, N X]`: the objective is that of the whole data."""
        return self.train.flatten()[None]


def breast_cancer(**to: Any) -> RowsOfOneLatent:
    """scikit-learn's breast cancer data: 30 features with mean 0 and variance 1 over all rows, 1, and the label."""
    from sklearn.datasets import load_breast_cancer

    features, labels = load_breast_cancer(return_X_y=True)
    x = torch.from_numpy((features - features.mean(0)) / features.std(0))
    rows = torch.cat([x, torch.ones(len(x), 1), torch.from_numpy(labels)[:, None]], 1).to(**to)
    shape = (1, 1, rows.shape[1])
    return RowsOfOneLatent("breast_cancer", "none", shape, train=rows, valid=None, test=None, mean=rows.mean(0))
