"""IBQ: straight-through on the choice among all codes, so that every code learns.

* F. Shi, Z. Luo, Y. Ge, Y. Yang, Y. Shan, L. Wang, Taming Scalable Visual Tokenizer for Autoregressive Image
  Generation, 2024, arXiv:2412.02692.
"""

from torch import Tensor

from estimators.base import Cost, Estimate, Estimator, Range
from estimators.latents import VQ
from estimators.latents.vq import closeness


class IBQ(Estimator[VQ]):
    """Forward the code, backward the softmax over all codes, in the encoder's vectors and in the codebook alike.

        1/K sum_k d cost(z_k),   d z_k = d softmax(-||vector - code||^2 / temperature)

    with z_k ~ q one-hot, the nearest code where q's temperature is 0. The decoder reads the chosen code; the slope of
    the cost towards every other code goes to that code as well as to the vector, so that none is left behind. Biased:
    it is straight-through. Cost evaluations per estimate: k, each differentiated to z.

    Differs from the paper in the logits, which are q's own squared distances and not inner products, so that the code
    chosen is the most probable one; its additional commitment loss through z_k is not here. The
    codes move under latent.codebook=gradient and simvq; under the other rules the vectors alone learn from this.

    Args:
        k: samples per estimate, 1 or more.
        temperature: of the softmax, above 0; that of q decides the samples alone.
    """

    latents = (VQ,)
    learns_codes = True
    unbiased = False
    evaluations = "k / k"
    paper = "Shi et al. 2024"
    kl = "analytic"
    deterministic = True
    tunable = {"temperature": Range(0.25, 4.0)}

    def __init__(self, k: int = 1, temperature: float = 1.0):
        super().__init__()
        if k < 1:
            raise ValueError(f"IBQ averages over samples, so it needs k >= 1; got k={k}.")
        if temperature <= 0:
            raise ValueError(f"A softmax needs a temperature above 0; got temperature={temperature}.")
        self.k, self.temperature = k, temperature

    def forward(self, q: VQ, cost: Cost, x: Tensor) -> Estimate:
        scores = closeness(q.params, q.codebook)  # [..., B, N, C]; q.scores hold the codebook
        choice = (scores / self.temperature).softmax(-1)
        c = cost(q.sample(self.k) + (choice - choice.detach())).mean(0)  # the bracket is exactly 0: z stays one-hot
        return Estimate(loss=c, cost=c)  # c differentiates the vectors, the codebook and the decoder
