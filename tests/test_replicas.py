"""Replica r is the run of seed r: the same noise, batches, parameters, state, rows and end."""

import itertools
import re

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

import bench.engine
from bench import plugins, tables
from bench.config import BadInput, Impossible
from bench.engine import engine, prepare
from bench.experiment import Experiment
from bench.job import Finished
from bench.model import VAE
from bench.objective import Objective
from bench.replicas import Replicas
from bench.replicas.batches import StackedBatches
from bench.replicas.run import replica, together
from bench.report.collect import collect
from bench.run import run
from bench.train import CHECK_EVERY, Trainer
from estimators import FAMILIES, Bernoulli, Estimate, Estimator
from tests.small import TRAIN, images, run_config, vae
from tests.test_train import STATEFUL

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
        torch.manual_seed(seed)
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


def config(case: str = "rloo", **changes) -> dict:
    family, estimator, more = STATEFUL[case]
    changes = {"measure": {"reference": "none", "at": [0, 1], "batches": 1}, "timing": {"repetitions": 0}} | changes
    return run_config(family, estimator, **more | changes) | {"replicas": 3, "option": case}


def written(output, chosen: dict, many: bool = True) -> list[Finished]:
    return list(together(chosen | {"output": str(output), "sweep": {"retry": "failed", "time_limit": None}}, many))


@pytest.mark.parametrize("case", ["network", "ema"])
def test_every_seed_has_the_rows_of_its_own_run(tmp_path, case):
    measure = {"reference": "none", "at": [1], "batches": 1, "papers": True}
    chosen = config(case, measure=measure, timing={"repetitions": 1, "warmup": 0})
    ended = written(tmp_path, chosen)
    assert [finished.what for finished in ended] == ["seed=0", "seed=1", "seed=2"]
    for number, finished in enumerate(ended):
        run(replica(chosen, number), tmp_path / "alone" / str(number))
        mine, its = tables.read(finished.directory), tables.read(tmp_path / "alone" / str(number))
        assert mine["runs"]["seed"].to_pylist() == [number]
        for table in ("objective", "gradient", "cost"):
            assert mine[table].num_rows == its[table].num_rows > 0
        for table, columns in (
            ("objective", ("elbo", "kl", "step")),
            ("gradient", ("variance_noise", "norm_sq", "ema_variance")),
        ):
            for column in columns:
                for a, b in zip(mine[table][column].to_pylist(), its[table][column].to_pylist(), strict=True):
                    assert (a is None) == (b is None)
                    assert a is None or abs(a - b) <= 1e-3 * abs(b) + 1e-5, (table, column)
    collection, problems = collect([finished.directory for finished in ended])
    assert problems == []
    assert sorted(collection.units.seed) == [0, 1, 2]
    assert collection.units.label.nunique() == 1


def test_what_is_there_stays_and_the_rest_is_run(tmp_path):
    first = written(tmp_path, config())
    assert [finished.already for finished in first] == [False] * 3
    stamps = [(finished.directory / tables.MARKER).stat().st_mtime_ns for finished in first]
    again = written(tmp_path, config())
    assert [(finished.already, finished.status) for finished in again] == [(True, "done")] * 3
    (first[1].directory / tables.MARKER).unlink()
    repaired = written(tmp_path, config())
    assert [finished.already for finished in repaired] == [True, False, True]
    after = [(finished.directory / tables.MARKER).stat().st_mtime_ns for finished in first]
    assert [new == old for new, old in zip(after, stamps, strict=True)] == [True, False, True]
    shifted = config() | {"seed": 1, "seeds": dict.fromkeys(config()["seeds"], 1)}
    assert [finished.already for finished in written(tmp_path, shifted)] == [True, True, False]


def test_a_seed_that_diverges_ends_alone(tmp_path, monkeypatch):
    update = Replicas.update

    def poisoned(self, given):
        update(self, given)
        if self.step_count == 6 and given.loss.requires_grad:
            with torch.no_grad():
                self.learned[0][1].fill_(float("nan"))

    whole = [tables.read(f.directory)["objective"]["elbo"].to_pylist() for f in written(tmp_path / "whole", config())]
    monkeypatch.setattr(Replicas, "update", poisoned)
    ended = written(tmp_path / "poisoned", config())
    assert [finished.status for finished in ended] == ["done", "diverged", "done"]
    assert re.search(r"step 7\b", ended[1].reason)
    found = [tables.read(finished.directory) for finished in ended]
    assert [each["runs"]["step"].to_pylist() for each in found] == [[12], [12], [12]]
    elbos = [each["objective"]["elbo"].to_pylist() for each in found]
    assert (elbos[0], elbos[2]) == (whole[0], whole[2])
    assert 0 < len(elbos[1]) < len(whole[1])


def test_a_failure_is_a_row_of_every_seed(tmp_path, monkeypatch):
    def broken(self):
        raise RuntimeError("the disk of the moon is full")

    monkeypatch.setattr(Replicas, "step", broken)
    for finished in written(tmp_path, config()):
        assert finished.status == "failed"
        assert "moon" in finished.reason
        assert "RuntimeError" in (finished.directory / "traceback.txt").read_text()


@pytest.mark.parametrize("binarisation", ["dynamic", "static", "threshold"])
def test_batches_are_those_of_each_seed(binarisation):
    group = run_config("bernoulli", {})["data"] | {"binarisation": binarisation, "train_size": 10}
    estimator = {"_target_": "estimators.rloo.RLOO", "k": 2}
    each = [Experiment(run_config("bernoulli", estimator, data=group) | {"seeds": _seeds(s)}) for s in SEEDS]
    again = [Experiment(run_config("bernoulli", estimator, data=group) | {"seeds": _seeds(s)}) for s in SEEDS]
    same = binarisation != "static"
    shared = [Experiment(e.config, each[0].data if same else None).trainer.batches for e in each]
    stacked = StackedBatches(shared)
    assert bool(stacked.streams) == same
    for x in itertools.islice(stacked, 4):  # eight images an epoch of ten
        torch.testing.assert_close(x, torch.stack([next(e.trainer.batches) for e in again]), rtol=0, atol=0)


def _seeds(seed: int) -> dict[str, int]:
    return dict.fromkeys(("model", "data", "estimator", "measure"), seed)


def test_replicas_compile_as_one_graph(monkeypatch):
    monkeypatch.setattr(bench.engine, "BACKEND", "aot_eager")
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
    for step in range(CHECK_EVERY + 3):
        replicas.note(torch.tensor([1.0, float("nan") if step == CHECK_EVERY + 1 else 0.0]))
    assert replicas.diverged() == [None, CHECK_EVERY + 1]


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


def test_an_impossible_pair_is_a_row_of_every_seed_of_a_sweep_and_else_a_sentence(tmp_path):
    chosen = config() | {"estimator": {"_target_": "estimators.reparam.Reparam", "k": 1}}
    assert [finished.status for finished in written(tmp_path, chosen)] == ["skipped"] * 3
    with pytest.raises(BadInput, match="reparam does not differentiate bernoulli"):
        written(tmp_path / "single", chosen, many=False)
    assert not (tmp_path / "single").exists()


def test_a_probe_is_of_one_seed(capsys, tmp_path):
    from bench.probe import main

    GlobalHydra.instance().clear()
    assert main(["replicas=2", f"output={tmp_path}"]) == 2
    assert "one seed at a time and not 2 replicas; set replicas=1." in capsys.readouterr().err


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
