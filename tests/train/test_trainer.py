"""Training: what learns from what, what a step is, and that nobody who looks disturbs it."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from bench.measure.evaluate import evaluate
from bench.model.objective import Objective
from bench.run.experiment import Experiment
from bench.run.rows import evaluated
from bench.train.trainer import LOSSES_KEPT, Trainer
from estimators.rebar import Rebar
from estimators.reinforce import Reinforce
from estimators.rloo import RLOO
from tests.support.small import TRAIN, images, run_config, vae
from tests.support.trainers import STATEFUL, Tangled, trained, trainer_of


@pytest.mark.parametrize("estimator", [Tangled(), Rebar().double(), Reinforce(baseline="network", hidden=3).double()])
def test_the_model_learns_from_the_loss_alone_and_the_estimator_from_tuning_alone(estimator):
    x = images(4)
    objective = Objective(vae("bernoulli"), estimator)
    objective.estimate(objective.model.encode(x), x)
    trainer = Trainer(objective, iter([]), TRAIN)
    state = torch.get_rng_state()
    trainer.gradient(x)
    torch.set_rng_state(state)  # the same noise
    q = objective.model.encode(x)
    estimate = objective.estimate(q, x)
    loss = (estimate.loss + q.kl()).mean()
    by_loss = torch.autograd.grad(loss, trainer.learned, retain_graph=True)
    by_tuning = torch.autograd.grad(estimate.tuning.mean(), trainer.tuned)
    for p, grad in zip(trainer.learned + trainer.tuned, by_loss + by_tuning, strict=True):
        assert torch.equal(p.grad, grad)
    assert set(map(id, trainer.learned)).isdisjoint(map(id, trainer.tuned))


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "radam"])
def test_the_first_steps_of_every_optimiser(optimiser):
    trainer, lr = trainer_of(Tangled(), optimiser=optimiser, tuning_lr=0.03, momentum=0.5), TRAIN["lr"]
    velocity: dict[int, Tensor] = {}
    for step in range(2 if optimiser == "sgd" else 1):
        before = [p.detach().clone() for p in trainer.learned + trainer.tuned]
        trainer.step()
        for old, p in zip(before, trainer.learned + trainer.tuned, strict=True):
            rate = 0.03 if p is trainer.estimator.own else lr
            velocity[id(p)] = p.grad + 0.5 * velocity[id(p)] if step else p.grad.clone()
            adam = p.grad / (p.grad.abs() + TRAIN["eps"])
            move = {"sgd": velocity[id(p)], "adam": adam, "radam": p.grad}[optimiser]
            torch.testing.assert_close(p, old - rate * move, rtol=0, atol=1e-9)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match="no optimiser 'lion'; there are adam, adamw, nadam, radam, sgd"):
        trainer_of(RLOO(), optimiser="lion")


@pytest.mark.parametrize("bad", [0, 7, LOSSES_KEPT - 1, LOSSES_KEPT, LOSSES_KEPT + 31])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_divergence_is_found_at_its_step(bad, value):
    def batches() -> Iterator[Tensor]:
        for step in range(2 * LOSSES_KEPT):
            x = images(2)
            yield x.fill_(value) if step == bad else x

    trainer, found = trainer_of(RLOO(2), batches()), []
    for step in range(2 * LOSSES_KEPT):
        trainer.step()
        if (step + 1) % LOSSES_KEPT == 0:
            found.append(trainer.diverged())
    assert next(step for step in found if step is not None) == bad


def test_every_step_moves_the_state_once(monkeypatch):
    trainer, seen = trainer_of(Reinforce(baseline="moving_average", decay=0.0).double()), []
    update = trainer.estimator.update
    monkeypatch.setattr(trainer.estimator, "update", lambda e: (seen.append(e.cost.mean()), update(e)))
    for step in range(1, 4):
        trainer.step()
        assert trainer.estimator.baseline.updates == len(seen) == trainer.step_count == step
        torch.testing.assert_close(trainer.estimator.baseline.centre, seen[-1].detach())


def test_training_lowers_the_loss():
    x = images(2).repeat(15, 1)
    trainer = trainer_of(RLOO(8), iter([x] * 150))
    before = evaluate(trainer.model, x, 20, 0, seed=0)
    for _ in range(150):
        trainer.step()
    assert evaluate(trainer.model, x, 20, 0, seed=0)["elbo"] > before["elbo"] + 3
    assert trainer.diverged() is None


def config_of(case: str) -> dict:
    family, estimator, changes = STATEFUL[case]
    return run_config(family, estimator, **changes)


@pytest.mark.parametrize("case", STATEFUL)
def test_looking_changes_nothing_and_a_run_repeats_bit_for_bit(case):
    looked, state = trained(config_of(case))
    _, alone = trained(config_of(case), look=False)
    torch.testing.assert_close(state, alone, rtol=0, atol=0)
    again, repeated = trained(config_of(case))
    torch.testing.assert_close(state, repeated, rtol=0, atol=0)
    for table in ("objective", "gradient"):
        first, second = ([row | {"seconds": 0} for row in e.rows[table]] for e in (looked, again))
        assert repr(first) == repr(second)  # bit for bit, and NaN equal to NaN
    assert {row["step"] for row in looked.rows["gradient"]} == {0, 6, 12}
    assert {row["step"] for row in looked.rows["objective"]} == {0, 4, 12}
    assert [row["what"] for row in looked.rows["cost"]] == ["gradient", "step"]


@pytest.mark.parametrize("stream", ["model", "data", "estimator"])
def test_every_stream_matters_to_training(stream):
    config = config_of("rloo")
    _, state = trained(config, look=False)
    _, other = trained(config | {"seeds": config["seeds"] | {stream: 1}}, look=False)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(state["model"], other["model"])


def test_the_measuring_stream_matters_to_measurements_alone():
    config = config_of("rloo")
    first, state = trained(config)
    second, other = trained(config | {"seeds": config["seeds"] | {"measure": 1}})
    torch.testing.assert_close(state, other, rtol=0, atol=0)
    assert first.rows["gradient"][0]["variance_noise"] != second.rows["gradient"][0]["variance_noise"]


def test_evaluation_does_not_depend_on_the_estimator():
    rows = [
        evaluated(Experiment(run_config("bernoulli", {"_target_": f"estimators.{name}", **hyper})), "test")
        for name, hyper in (
            ("rloo.RLOO", {"k": 2}),
            ("rloo.RLOO", {"k": 9}),
            ("disarm.Disarm", {}),
            ("rebar.Rebar", {}),
        )
    ]
    assert rows[0] == rows[1] == rows[2] == rows[3]
