"""Cost evaluations counted exactly, memory of known allocations, and clocks that disturb nothing."""

import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from bench.measure.clock import Rounds, host_clock, interleaved
from bench.measure.cost import costs
from bench.measure.timing import evaluations, kernels, peak_memory
from bench.model.objective import Objective
from bench.streams import own_stream
from bench.train.trainer import Trainer
from estimators import chunks
from estimators.detached import Detached
from estimators.disarm import Disarm
from estimators.exact import Exact
from estimators.gumbel_softmax import GumbelSoftmax
from estimators.rebar import Rebar
from estimators.reinforce import Reinforce
from estimators.reparam import Reparam
from estimators.rloo import RLOO
from estimators.st_gumbel_softmax import STGumbelSoftmax
from estimators.straight_through import StraightThrough
from estimators.vq_straight_through import VQStraightThrough
from tests.support.small import TRAIN, images, vae

CPU = torch.device("cpu")
COUNTED = [
    ("gaussian", Reparam(3), (3, 3)),
    ("gaussian", RLOO(4), (4, 0)),
    ("gaussian", Exact(nodes=3), (27, 27)),
    ("bernoulli", Exact(), (16, 0)),
    ("bernoulli", RLOO(4), (4, 0)),
    ("bernoulli", Reinforce(2, baseline="network", hidden=3).double(), (2, 0)),
    ("bernoulli", Disarm(6), (6, 0)),
    ("bernoulli", Detached(), (1, 0)),
    ("bernoulli", Rebar(2).double(), (6, 4)),
    ("categorical", Rebar(1).double(), (3, 2)),
    ("categorical", GumbelSoftmax(2), (2, 2)),
    ("categorical", StraightThrough(2), (2, 2)),
    ("vq", STGumbelSoftmax(5), (5, 5)),
    ("vq", VQStraightThrough(2), (2, 2)),
    ("vq", Exact(), (16, 0)),
]


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize(("family", "estimator", "expected"), COUNTED)
def test_evaluations_of_the_cost(family, estimator, expected, kl):
    if kl == "sampled" and isinstance(estimator, VQStraightThrough):
        kl = "analytic"  # its points have no log q(z)
    model, x = vae(family), images(3)
    assert evaluations(Objective(model, estimator, kl), model.encode(x), x) == expected


def test_costs_computed_again_in_the_backward_pass_are_not_counted(monkeypatch):
    monkeypatch.setitem(chunks.ELEMENTS, "cpu", 100)  # two states are a chunk
    model, x = vae("bernoulli"), images(3)
    assert evaluations(Objective(model, Exact()), model.encode(x), x) == (16, 0)


class ByName(Reparam):
    """Hands q in by its name, as the signature of a cost allows."""

    def forward(self, q, cost, x):
        return super().forward(q, lambda z, q=None: cost(z, q=q), x)


def test_a_cost_that_is_counted_takes_q_by_its_name():
    model, x = vae("gaussian"), images(3)
    assert evaluations(Objective(model, ByName(3)), model.encode(x), x) == (3, 3)


@pytest.mark.parametrize("megabytes", [1, 20])
def test_peak_memory_of_known_allocations(megabytes):
    size = megabytes * 2**20

    def work():
        first = torch.ones(size // 4)
        second = first * 2  # two at once
        del first
        third = second + 1  # and again two
        return float(third[0])

    outside = torch.ones(5 * 2**20)
    assert 2 * size <= peak_memory(work, CPU) < 2 * size + 2**16
    assert peak_memory(lambda: outside.sum(), CPU) < 2**16  # what was there before does not count


@pytest.mark.parametrize(("seen", "seconds", "launches"), [(6, 2e-6, 2), (0, None, None)])
def test_a_gpu_whose_kernels_are_not_seen_does_not_seem_idle(monkeypatch, seen, seconds, launches):
    kernel = SimpleNamespace(
        device_type=lambda: torch.autograd.DeviceType.CUDA, duration_ns=lambda: 1000, is_user_annotation=lambda: False
    )
    results = SimpleNamespace(events=lambda: [kernel] * seen)
    profile = SimpleNamespace(profiler=SimpleNamespace(kineto_results=results))
    monkeypatch.setattr(torch.profiler, "profile", lambda activities: nullcontext(profile))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    found = kernels(lambda: None, torch.device("cuda"))
    assert found == {"seconds_device": seconds, "launches": launches}


def test_peak_memory_is_silent(capfd):
    peak_memory(lambda: torch.ones(9), CPU)
    assert capfd.readouterr() == ("", "")


def test_columns_are_quartiles_of_the_repetitions_alone():
    calls = []

    def work():
        calls.append(None)
        time.sleep(0.2 if len(calls) <= 2 else 0.001 * len(calls))  # slow only while it warms up

    rounds = Rounds(most=9, least=9, block=0, warmup=2, error=0)
    found = interleaved({"work": work}, host_clock, rounds)["work"].columns()
    assert len(calls) == 11
    assert 0.003 <= found["seconds_q1"] < found["seconds"] < min(0.2, found["seconds_q3"])
    assert found["seconds"] >= 0.007  # of the calls 3 to 11, the 7th in the middle
    assert found["repetitions"] == 9


def trainer() -> Trainer:
    with own_stream(0, "a test"):
        objective = Objective(vae("bernoulli", prior="learned"), Rebar().double())
        made = Trainer(objective, iter([images(4) for _ in range(20)]), TRAIN)
    made.step()
    return made


def state(of: Trainer) -> dict:
    found = {"model": of.model.state_dict(), "estimator": of.estimator.state_dict(), "losses": of.losses}
    found |= {"grads": [p.grad for p in of.learned + of.tuned], "noise": torch.get_rng_state()}
    return found | {"optimisers": [o.state_dict() for o in of.optimisers]}


def test_costs_work_on_a_copy():
    torch.manual_seed(5)
    timed_one = trainer()
    torch.manual_seed(5)
    other, noise = trainer(), torch.get_rng_state()
    torch.set_rng_state(noise)
    rows = costs(timed_one, iter([images(6)] * 40), rounds=Rounds(most=5, warmup=1, block=0), seed=0)
    torch.set_rng_state(noise)
    torch.testing.assert_close(state(timed_one), state(other), rtol=0, atol=0)
    for one in (timed_one, other):
        torch.set_rng_state(noise)
        one.step()
    torch.testing.assert_close(state(timed_one), state(other), rtol=0, atol=0)
    assert timed_one.step_count == 2
    assert [row["what"] for row in rows] == ["gradient", "step"]
    for row in rows:
        assert (row["evaluations_forward"], row["evaluations_backward"]) == (3, 2)
        assert (row["batch_size"], row["repetitions"], row["device"]) == (6, 5, "cpu")
        assert 0 < row["seconds_q1"] <= row["seconds"] <= row["seconds_q3"]
        assert row["peak_memory"] > 0


def test_costs_restore_the_random_stream():
    made, batches = trainer(), iter([images(6)] * 40)
    before = torch.get_rng_state()
    costs(made, batches, rounds=Rounds(most=2, warmup=0, block=0), seed=0)
    assert torch.equal(torch.get_rng_state(), before)
