"""Every engine gives the numbers of the loop as it is written; what a CUDA graph cannot record is known without one."""

import pytest
import torch
from torch import Tensor

from bench.config.plugins import estimator
from bench.errors import Impossible
from bench.measure.clock import Rounds
from bench.measure.cost import costs
from bench.model.objective import Objective
from bench.run.experiment import Experiment
from bench.train.capture import obstacle
from bench.train.engine import engine
from bench.train.trainer import Trainer
from estimators import Bernoulli, Estimate, Estimator
from estimators.rloo import RLOO
from tests.support.small import TRAIN, images, run_config, vae
from tests.support.trainers import STATEFUL


def trained(name: str, case: str) -> dict:
    """Everything that five steps move."""
    family, chosen, changes = STATEFUL[case]
    experiment = Experiment(run_config(family, chosen, **changes) | {"engine": name, "dtype": "float64"})
    with experiment.noise():
        for _ in range(5):
            experiment.train_step()
        noise = torch.get_rng_state()
    trainer = experiment.trainer
    state = {"model": trainer.model.state_dict(), "estimator": trainer.estimator.state_dict(), "noise": noise}
    state |= {"optimisers": [o.state_dict() for o in trainer.optimisers], "losses": trainer.losses}
    return state | {"steps": trainer.step_count, "batches": trainer.batches.state_dict()}


@pytest.mark.parametrize("case", ["rebar", "annealed", "ema", "scheduled"])
def test_compiled_training_is_eager_training(case, monkeypatch):
    monkeypatch.setattr("bench.train.engine.BACKEND", "aot_eager")  # all but the generation of code
    torch._dynamo.reset()
    torch.testing.assert_close(trained("compile", case), trained("eager", case), rtol=1e-9, atol=1e-9)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0  # it was not run as it is written


@pytest.mark.slow
def test_generated_code_draws_the_noise_of_eager():
    def losses(name: str, noise: int = 4) -> Tensor:
        torch.manual_seed(3)
        objective = Objective(vae("bernoulli"), estimator("gumbel_softmax"))
        executed = engine(trainer := Trainer(objective, iter([images(4) for _ in range(4)]), TRAIN), name)
        torch.manual_seed(noise)
        for _ in range(4):
            executed.step()
        return trainer.losses[:4]

    torch._dynamo.reset()
    eager, compiled = losses("eager"), losses("compile")
    torch.testing.assert_close(compiled, eager, rtol=1e-6, atol=0)
    with pytest.raises(AssertionError):  # which other noise would not be
        torch.testing.assert_close(losses("eager", noise=5), eager, rtol=1e-3, atol=0)


def trainer_of(made: Estimator) -> Trainer:
    return Trainer(Objective(vae("bernoulli"), made), iter([images(4) for _ in range(9)]), TRAIN)


def test_eager_is_the_trainer_itself_and_graphs_need_cuda():
    trainer = trainer_of(RLOO())
    assert engine(trainer, "eager") is trainer
    with pytest.raises(Impossible, match="on the CPU; set engine=eager or compile"):
        engine(trainer, "graph")
    with pytest.raises(Impossible, match="engine=compiled_graph records CUDA graphs, and this is on the CPU"):
        engine(trainer, "compiled_graph")
    with pytest.raises(ValueError, match="no engine 'fast'; there are eager, compile, graph, compiled_graph"):
        engine(trainer, "fast")


def test_no_graph_of_the_parameters_outlives_the_making_of_an_experiment():
    for family in ("gaussian", "vq"):
        chosen = {"_target_": "estimators.rloo.RLOO", "k": 2}
        q = Experiment(run_config(family, chosen)).q
        assert q.params.grad_fn is None
        assert family != "vq" or q.codebook.grad_fn is None


def test_times_of_an_engine_are_of_a_copy(monkeypatch):
    monkeypatch.setattr("bench.train.engine.BACKEND", "aot_eager")
    trainer = trainer_of(RLOO())
    before = [p.detach().clone() for p in trainer.learned]
    rows = costs(trainer, iter([images(4)] * 9), rounds=Rounds(2, warmup=0, block=0), seed=0, name="compile")
    assert [(row["what"], row["engine"]) for row in rows] == [("gradient", "compile"), ("step", "compile")]
    assert rows[0]["seconds_compile"] == rows[1]["seconds_compile"] > rows[0]["seconds"]
    torch.testing.assert_close(trainer.learned, before, rtol=0, atol=0)
    assert trainer.step_count == 0
    eager = costs(trainer, iter([images(4)] * 9), rounds=Rounds(2, warmup=0, block=0), seed=0)
    assert [row["seconds_compile"] for row in eager] == [None, None]


class Planted(Estimator):
    """Something of which a graph would record one instance."""

    latents = (Bernoulli,)
    unbiased = True
    evaluations = "1 / 0"

    def __init__(self, fault: str):
        super().__init__()
        self.fault, self.count = fault, 0
        self.register_buffer("state", torch.zeros(()))

    def forward(self, q, cost, x):
        z = q.sample(1)
        c = cost(z)[0]
        if self.fault == "waits" and float(c.detach().mean()) > 1e9:
            c = 2 * c
        if self.fault == "chooses":
            c = c + 0 * q.params.detach()[q.params > 0].sum()
        if self.fault == "numbers":
            c = c[torch.arange(len(c))]  # on the host, wherever c is
        if self.fault == "sends":
            c = c * torch.tensor([1.0] * len(c), dtype=c.dtype).to(c.device)
        return Estimate(c.detach() * q.log_prob(z)[0] + c, c)

    def update(self, estimate):
        if self.fault == "counts":
            self.count += 1
        elif self.fault == "replaces":
            self.state = self.state + 1
        else:
            self.state.add_(estimate.cost.detach().mean())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("", None),
        ("waits", "needs the value of a tensor on the host"),
        ("chooses", "needs the value of a tensor on the host"),
        ("numbers", "sends a tensor from the host to the device"),
        ("sends", "sends a tensor from the host to the device"),
        ("counts", "whose state count is not a buffer that is written in place"),
        ("replaces", "whose state state is not a buffer that is written in place"),
    ],
)
def test_what_a_graph_cannot_record(fault, said):
    trainer, x = trainer_of(Planted(fault)), images(4)
    before = trainer.model.state_dict(), trainer.estimator.state_dict(), torch.get_rng_state()
    kept = [{k: v.clone() for k, v in state.items()} for state in before[:2]]
    found = obstacle(trainer, x)
    assert found is None if said is None else said in found
    for state, copy in zip(before[:2], kept, strict=True):
        torch.testing.assert_close(state, copy, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), before[2])
    assert all(p.grad is None for p in trainer.learned)


@pytest.mark.parametrize(("key", "value"), [("schedule", "cosine"), ("warmup", 3)])
def test_a_graph_takes_a_learning_rate_that_changes(key, value):
    objective = Objective(vae("bernoulli"), RLOO())
    assert obstacle(Trainer(objective, iter([]), TRAIN | {key: value}), images(4)) is None


CAPTURED = [  # own parameters, state in update, tables made on the host
    ("bernoulli", "rebar"), ("bernoulli", "nvil"), ("bernoulli", "gumbel_softmax_annealed"), ("gaussian", "qmc"),
    ("categorical", "unordered_set"), ("categorical", "disarm_tree"), ("categorical", "exact"), ("vq", "nsvq"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "name"), CAPTURED)
def test_what_a_graph_can_record(family, name):
    made = estimator(name)
    model, x = vae(family, {"codebook": "ema", "restart": 0.5} if family == "vq" else None).float(), images(4).float()
    objective = Objective(model, made)
    objective.estimate(model.encode(x), x)  # sizes of lazy layers
    assert obstacle(Trainer(objective, iter([]), TRAIN), x) is None
