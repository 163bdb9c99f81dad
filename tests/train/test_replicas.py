"""Replica r is the run of seed r: the same noise, batches, parameters, state, rows and end."""

import itertools

import pytest
import torch

from bench.config import plugins
from bench.data.batches import StackedBatches
from bench.errors import Impossible
from bench.model.objective import Objective
from bench.model.vae import VAE
from bench.run.experiment import Experiment
from bench.streams import TRAINING, own_stream
from bench.train.engine import engine, prepare
from bench.train.replicas import Replicas
from bench.train.trainer import LOSSES_KEPT, Trainer
from estimators import FAMILIES, Bernoulli, Estimate, Estimator
from tests.support.small import TRAIN, images, run_config, vae

SEEDS = (5, 6)


def trainers(family: str, name: str, latent: dict | None = None) -> list[Trainer] | None:
    """One for each of SEEDS, with a model and batches of its own; None where this family is not for this estimator."""
    made = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        single = plugins.estimator(name).double()
        sampled = single.objective == "iwae" or single.kl == "sampled"
        objective = Objective(vae(family, latent), single, "sampled" if sampled else "analytic")
        x = [images(4) for _ in range(3)]
        if objective.impossible(q := objective.model.encode(x[0])):
            return None
        objective.estimate(q, x[0])
        single.double()
        made.append(Trainer(objective, iter(x), TRAIN))
    return made


def state(trainer: Trainer) -> dict:
    return {"model": trainer.model.state_dict(), "estimator": trainer.estimator.state_dict()}


def differences(family: str, name: str, latent: dict | None = None, seeds: tuple[int, ...] = SEEDS) -> list[float]:
    """For each seed the largest difference of any parameter, state or loss after three steps at once and alone."""
    alone, stacked = trainers(family, name, latent), trainers(family, name, latent)
    assert alone is not None
    assert stacked is not None
    for trainer, seed in zip(alone, SEEDS, strict=True):
        with own_stream(seed, TRAINING):
            for _ in range(3):
                trainer.step()
    replicas = Replicas(stacked, list(seeds), TRAIN, images(4))
    for _ in range(3):
        replicas.step()
    found = []
    for r, (one, other) in enumerate(zip(alone, stacked, strict=True)):
        pairs = [(state(one)[part][key], value) for part, held in state(other).items() for key, value in held.items()]
        pairs.append((one.losses[:3], replicas.losses[:3, r]))
        found.append(max(float((a - b).detach().double().abs().max()) for a, b in pairs))
    return found


def first_family(name: str) -> str:
    return next(family for family in FAMILIES if trainers(family, name) is not None)


@pytest.mark.parametrize("name", [*plugins.registry(), "nvil", "reinforce_moving_average", "gumbel_softmax_annealed"])
def test_every_estimator_is_trained_at_once_as_alone(name):
    assert max(differences(first_family(name), name)) < 1e-9


@pytest.mark.parametrize(("rule", "restart"), [("ema", 0.9), ("gradient", 0.9)])
def test_codebooks_move_and_restart_in_each_replica(rule, restart):
    assert max(differences("vq", "vq_straight_through", {"codebook": rule, "restart": restart})) < 1e-9


def test_other_noise_is_seen():
    first, second = differences("bernoulli", "rloo", seeds=(SEEDS[0], 99))
    assert first < 1e-9 < 1e-4 < second


@pytest.mark.parametrize("binarisation", ["dynamic", "static", "threshold"])
def test_batches_are_those_of_each_seed(binarisation):
    group = run_config("bernoulli", {})["data"] | {"binarisation": binarisation, "train_size": 10}
    estimator = {"_target_": "estimators.rloo.RLOO", "k": 2}
    each = [Experiment(run_config("bernoulli", estimator, data=group) | {"seeds": _seeds(s)}) for s in SEEDS]
    again = [Experiment(run_config("bernoulli", estimator, data=group) | {"seeds": _seeds(s)}) for s in SEEDS]
    same = binarisation != "static"
    shared = [Experiment(e.config, each[0].data if same else None).trainer.batches for e in each]
    stacked = StackedBatches(shared)
    assert (stacked.data is not None) == same
    for x in itertools.islice(stacked, 4):  # eight images an epoch of ten
        torch.testing.assert_close(x, torch.stack([next(e.trainer.batches) for e in again]), rtol=0, atol=0)


def _seeds(seed: int) -> dict[str, int]:
    return dict.fromkeys(("model", "data", "estimator", "measure"), seed)


def test_replicas_compile_as_one_graph(monkeypatch):
    monkeypatch.setattr("bench.train.engine.BACKEND", "aot_eager")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    eager, compiled = trainers("bernoulli", "nvil"), trainers("bernoulli", "nvil")
    assert eager is not None
    assert compiled is not None
    for made, name in ((eager, "eager"), (compiled, "compile")):
        executed = engine(Replicas(made, list(SEEDS), TRAIN, images(4)), name)
        prepare(executed, images(len(SEEDS), 4))  # moves nothing
        for _ in range(3):
            executed.step()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    for one, other in zip(eager, compiled, strict=True):
        torch.testing.assert_close(state(one), state(other), rtol=1e-9, atol=1e-9)


def test_divergence_is_found_for_each_replica():
    replicas = Replicas(trainers("bernoulli", "rloo"), [0, 1], TRAIN, images(4))  # type: ignore[arg-type]
    assert replicas.diverged() == [None, None]
    for step in range(LOSSES_KEPT + 3):
        replicas.note(torch.tensor([1.0, float("nan") if step == LOSSES_KEPT + 1 else 0.0]))
    assert replicas.diverged() == [None, LOSSES_KEPT + 1]


class Foreign(Estimator):
    """Draws noise that is not q's, or looks at a value."""

    latents = (Bernoulli,)
    unbiased = False
    evaluations = "1 / 0"
    looks = False

    def forward(self, q, cost, x):
        z = q.sample(1) if self.looks else torch.bernoulli(q.probs.detach())[None]
        c = cost(z)[0]
        if self.looks and float(c.mean()) > 1e9:
            c = 2 * c
        return Estimate(c.detach() * q.log_prob(z)[0] + c, c)


@pytest.mark.parametrize("looks", [False, True])
def test_what_cannot_be_replicated_is_one_sentence(looks, monkeypatch):
    monkeypatch.setattr(Foreign, "looks", looks)
    made = [Trainer(Objective(vae("bernoulli"), Foreign()), iter([]), TRAIN) for _ in SEEDS]
    with pytest.raises(Impossible, match=r"foreign cannot be trained as replicas \(.*\): set replicas=1 and sweep"):
        Replicas(made, list(SEEDS), TRAIN, images(4))


def test_a_lack_of_memory_is_not_taken_for_a_model_that_cannot(monkeypatch):
    def full(self, x):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    made = trainers("bernoulli", "rloo")
    monkeypatch.setattr(Replicas, "forward", full)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        Replicas(made, list(SEEDS), TRAIN, images(4))  # type: ignore[arg-type]


def test_models_of_replicas_are_views():
    made = trainers("gaussian", "reparam")
    assert made is not None
    replicas = Replicas(made, list(SEEDS), TRAIN, images(4))
    assert isinstance(made[1].model, VAE)
    weight = made[1].model.encoder.net[0].weight
    replicas.step()
    torch.testing.assert_close(weight, replicas.state["model.encoder.net.0.weight"][1], rtol=0, atol=0)
    made[1].model.load_state_dict({k: v * 0 for k, v in made[1].model.state_dict().items()})
    assert not replicas.state["model.encoder.net.0.weight"][1].any()
    assert replicas.state["model.encoder.net.0.weight"][0].any()
