"""One runnable example of each public name, in the order of `docs/api.md`."""

from tests.support import bench_examples

EXAMPLES = {
    **bench_examples.EXAMPLES,
    "estimators.Estimator": """
        import torch
        from torch import Tensor

        from estimators import Bernoulli, Cost, Estimate, Estimator


        class OneSample(Estimator[Bernoulli]):
            latents = (Bernoulli,)
            unbiased = True
            evaluations = "1 / 0"

            def forward(self, q: Bernoulli, cost: Cost, x: Tensor) -> Estimate:
                z = q.sample(1)  # [1, B, D]
                c = cost(z)  # [1, B]
                return Estimate(loss=(c.detach() * q.log_prob(z) + c)[0], cost=c[0])


        print(OneSample.name)
        print(OneSample().refuses(Bernoulli(torch.zeros(5, 3))))
        """,
    "estimators.Cost": """
        import torch

        import bench
        from estimators import Gaussian, Latent


        def cost(z: torch.Tensor, q: Latent | None = None) -> torch.Tensor:
            return z.square().sum(-1)  # [K, B, D] -> [K, B]


        q = Gaussian(torch.zeros(5, 6))  # D = 3
        print(tuple(bench.estimator("reparam", k=2)(q, cost, torch.zeros(5, 0)).loss.shape))
        """,
    "estimators.Estimate": """
        import torch

        from estimators import Estimate

        estimate = Estimate(loss=torch.zeros(5), cost=torch.ones(5))
        print(estimate.tuning)
        """,
    "estimators.Range": """
        from estimators import Range

        temperature = Range(0.1, 10.0)
        print([round(temperature.at(share), 3) for share in (0, 0.5, 1)])
        print(Range(0.0, 1.0, log=False).at(0.25))
        """,
    "estimators.as_loss": """
        import torch

        from estimators import Bernoulli, as_loss

        logits = torch.zeros(2, 3, requires_grad=True)
        wanted = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        as_loss(Bernoulli(logits), wanted).sum().backward()
        print(logits.grad.tolist())
        """,
    "estimators.Latent": """
        import torch

        from estimators import FAMILIES

        q = FAMILIES["gaussian"](torch.zeros(5, 6))
        print(sorted(FAMILIES), tuple(q.batch_shape), float(q.kl().sum()))
        """,
    "estimators.Discrete": """
        import torch

        from estimators import Bernoulli

        q = Bernoulli(torch.zeros(1, 2))
        print(q.states, q.enumerate().flatten(1).tolist())
        """,
    "estimators.Gaussian": """
        import torch

        from estimators import Gaussian

        q = Gaussian(torch.zeros(5, 6))  # mean and log standard deviation of three coordinates
        z = q.rsample(4)
        print(tuple(z.shape), tuple(q.log_prob(z).shape), float(q.std[0, 0]))
        """,
    "estimators.Bernoulli": """
        import torch

        from estimators import Bernoulli

        q = Bernoulli(torch.zeros(5, 3))
        z = q.sample(4)
        print(tuple(z.shape), tuple(q.log_prob(z).shape), q.states)
        """,
    "estimators.Sequence": """
        import torch

        from estimators import Sequence

        q = Sequence(torch.zeros(5, 3, 2))  # two tokens of two: the empty prefix, and one for each first token
        z = q.sample(4)
        print(tuple(z.shape), tuple(q.log_prob(z).shape), q.states)
        """,
    "estimators.Categorical": """
        import torch

        from estimators import Categorical

        q = Categorical(torch.zeros(5, 3, 10))  # three variables of ten categories
        z = q.sample(4)
        print(tuple(z.shape), bool((z.sum(-1) == 1).all()), q.states)
        """,
    "estimators.VQ": """
        import torch

        from estimators import VQ

        vectors, codebook = torch.zeros(5, 3, 2), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        q = VQ(vectors, codebook, 0.0)  # the nearest code
        print(tuple(q.sample(4).shape), q.deterministic, q.sample(1)[0, 0, 0].tolist())
        """,
}
