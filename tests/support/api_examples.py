"""One runnable example of each public name, in the order of `docs/api.md`."""

EXAMPLES = {
    "bench.estimator": """
        import torch

        import bench
        from estimators import Bernoulli

        logits = torch.zeros(5, 3, requires_grad=True)  # [B, D]
        estimate = bench.estimator("rloo", k=4)(Bernoulli(logits), lambda z, q=None: z.sum(-1), torch.zeros(5, 0))
        estimate.loss.mean().backward()
        print(tuple(estimate.cost.shape), tuple(logits.grad.shape))
        """,
    "bench.compare": """
        import torch

        import bench
        from estimators import Bernoulli

        q = Bernoulli(torch.zeros(1, 3))  # one example, three bits
        table = bench.compare(lambda z: (z.sum(-1) - 0.3) ** 2, q, ["rloo", "disarm", "reparam"], draws=500)
        print(table[["estimator", "reference", "evaluations"]].to_string(index=False))
        print(table.reason.iloc[-1])
        """,
    "bench.measure": """
        import torch
        from torch import nn

        import bench
        from estimators import Bernoulli


        class Mine(nn.Module):
            def __init__(self):
                super().__init__()
                self.net, self.out = nn.Linear(16, 5), nn.Linear(5, 16)

            def encode(self, x):  # [B, 1, 4, 4]
                return Bernoulli(self.net(x.flatten(1)))

            def log_likelihood(self, x, z):  # [B, 1, 4, 4], [K, B, 5] -> [K, B]
                logits = self.out(z)
                return torch.distributions.Bernoulli(logits=logits).log_prob(x.flatten(1)).sum(-1)


        batches = torch.rand(2, 8, 1, 4, 4).round()  # M = 2 batches of B = 8 examples
        table = bench.measure(Mine(), batches, ["rloo", "disarm", "reparam"], draws=100, repetitions=1)
        print(table[["estimator", "part", "reference", "evaluations_forward"]].to_string(index=False))
        print(table.reason.iloc[-1])
        """,
    "bench.Model": """
        import bench
        from torch import nn

        print(isinstance(nn.Linear(2, 2), bench.Model))
        """,
    "bench.load": """
        import bench
        from bench.cli import main

        small = ["train.steps=2", "measure.draws=4", "measure.reference=none", "timing.repetitions=1"]
        main(["estimator=rloo", "output=here", "evaluate.samples=2", "evaluate.examples=4", *small])
        frames = bench.load("here")
        print(frames.runs.loc[0, ["estimator", "family", "status"]].tolist())
        print(frames.gradient.part.unique().tolist())
        """,
    "bench.check.check": """
        from bench.check import check
        from estimators.rloo import RLOO

        verdicts = check(RLOO, families=["bernoulli"], quick=True)
        print({verdict.status for verdict in verdicts if verdict.rule == "mean"})
        """,
    "bench.check.Verdict": """
        from bench.check import Verdict, check

        for verdict in check("disarm", families=["bernoulli"], quick=True):
            if verdict.status == "FAILED":
                print(verdict.rule, verdict.reason)
        """,
    "bench.errors.BadInput": """
        import bench
        from bench.errors import BadInput

        try:
            bench.estimator("rlo")
        except BadInput as error:
            print(error)
        """,
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
