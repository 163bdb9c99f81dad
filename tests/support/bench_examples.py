"""One runnable example of each public name of `bench`, in the order of `docs/api.md`."""

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
    "bench.train": """
        import torch
        from torch import nn

        import bench
        from estimators import Gaussian


        class Mine(nn.Module):
            def __init__(self):
                super().__init__()
                self.net, self.out = nn.Linear(16, 8), nn.Linear(4, 16)

            def encode(self, x):  # [B, 1, 4, 4]
                return Gaussian(self.net(x.flatten(1)))

            def log_likelihood(self, x, z):  # [B, 1, 4, 4], [K, B, 4] -> [K, B]
                return torch.distributions.Normal(self.out(z), 1.0).log_prob(x.flatten(1)).sum(-1)


        images = torch.rand(200, 1, 4, 4)
        trained = bench.train(Mine(), images, "reparam", steps=20, batch_size=50, at=[0, 1], progress=False)
        print(trained.table[["step", "split", "examples"]].to_string(index=False))
        """,
    "bench.run": """
        import bench

        small = {"train.steps": 2, "measure.draws": 4, "timing.repetitions": 0, "evaluate.examples": 4}
        frames = bench.run({"estimator": "rloo", **small}, progress=False)
        print(frames.runs[["estimator", "family", "status"]].to_string(index=False))
        """,
    "bench.sweep": """
        import bench

        small = {"train.steps": 2, "measure.draws": 4, "timing.repetitions": 0, "evaluate.examples": 4}
        frames = bench.sweep({"estimator": ["disarm", "reparam"], **small}, progress=False)
        print(frames.runs[["estimator", "status"]].sort_values("estimator").to_string(index=False))
        """,
    "bench.Dataset": """
        import torch

        import bench


        class Ramps(bench.Dataset):
            def __init__(self, side: int = 4):
                self.side = side

            def arrays(self):
                return {"train": torch.linspace(0, 1, 10 * self.side**2).reshape(10, self.side, self.side)}


        stored = Ramps().stored()
        print(stored.train.shape, stored.test.shape)
        """,
    "bench.Problem": """
        import torch

        import bench
        from bench.problems.base import Parameters
        from estimators import Bernoulli


        class Target(bench.Problem):
            name, family = "target", Bernoulli

            def __init__(self, dim: int = 3, t: float = 0.4):
                super().__init__(Parameters(logits=torch.zeros(dim)))
                self.t = t

            def cost(self, x, z):  # [K, ..., B, D] -> [K, ..., B]
                return (z - self.t).square().mean(-1)


        x = torch.zeros(2, 1)  # two examples
        problem = Target()
        print(problem.cost(x, problem.encode(x).sample(5)).shape)
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
}
