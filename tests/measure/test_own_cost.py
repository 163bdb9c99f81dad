"""`bench.compare`: anyone's own cost, in ten lines."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

import bench
from bench.errors import BadInput
from estimators import VQ, Bernoulli, Categorical, Gaussian
from tests.support.costs import Nonlinear, three_bits

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "problems.md").read_text()
FEW = {"draws": 400, "reference_draws": 400, "repetitions": 0}


def test_the_ten_lines_of_the_page_run(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    scope: dict = {}
    exec(code, scope)
    table = scope["table"].set_index("estimator")
    assert list(table.index) == ["reinforce", "rloo", "disarm", "straight_through", "reparam"]
    assert table.reason.isna().tolist() == [True] * 4 + [False]
    assert table.reason["reparam"] == "reparam does not differentiate bernoulli latents; it is made for gaussian."
    assert (table.microseconds.iloc[:4] > 0).all()
    assert table.loc["disarm", ["evaluations", "evaluations_backward"]].tolist() == [2, 0]
    assert "disarm" in capsys.readouterr().out


def test_the_numbers_are_those_of_the_anchors():
    found = bench.compare(Nonlinear(), three_bits(), {
        "one": bench.estimator("reinforce"), "two": bench.estimator("rloo", k=2), "pair": bench.estimator("disarm"),
        "st": bench.estimator("straight_through"),
    }, draws=40_000, repetitions=0).set_index("estimator")  # fmt: skip
    for label, trace in {"one": 5.8466016479, "two": 1.3263941256, "pair": 0.7575449097}.items():
        row = found.loc[label]
        assert abs(row.variance - trace) < 4.5 * row.variance_se
        assert row.bias_sq < 4.5**2 * row.variance / 40_000  # the squared error of the mean, in its own unit
    assert found.bias_sq["st"] > 4.5 * found.bias_sq_se["st"]
    assert set(found.reference) == {"exact"}


@pytest.mark.parametrize("q", [
    Gaussian(torch.zeros(2, 4)), Categorical(torch.zeros(2, 3, 4)), Bernoulli(torch.zeros(2, 5).double()),
    VQ(torch.randn(2, 3, 2), torch.randn(4, 2), 1.0), Gaussian(torch.zeros(1, 40)),
], ids=lambda q: f"{q.family} {tuple(q.params.shape)}")  # fmt: skip
def test_every_family_with_a_cost_that_has_parameters(q):
    class Cost(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.LazyLinear(3, dtype=q.params.dtype)

        def forward(self, z):
            return self.layer(z.flatten(-2) if q.event_ndim == 2 else z).square().sum(-1)

    cost, state = Cost(), torch.get_rng_state()
    with torch.random.fork_rng([]):
        cost(q.sample(1))
    before = [p.detach().clone() for p in cost.parameters()]
    table = bench.compare(cost, q, ["reinforce", "nvil", "rloo", "reparam", "gumbel_softmax", "vimco"], **FEW)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(p, b) and p.grad is None for p, b in zip(cost.parameters(), before, strict=True))
    done = table[table.reason.isna()]
    assert {"reinforce", "nvil", "rloo"} <= set(done.estimator)
    assert (done.variance > 0).all()
    large = q.params.shape[-1] > 10
    gaussian = "rloo" if large else "quadrature"
    assert set(done.reference) == {gaussian if isinstance(q, Gaussian) else "exact"}
    assert "vimco" in set(table[table.reason.notna()].estimator)


def test_estimators_are_timed_in_turn(monkeypatch):
    """On a machine that slows down, the same estimator takes as long under each of its names."""
    asked = []

    def clock_of(device):
        def clock(work, calls):
            work()
            asked.append(work)
            return calls * 1e-3 * (1 + len(asked) / 20)

        return clock

    monkeypatch.setattr("bench.measure.own_cost.clock_of", clock_of)
    entries = {name: bench.estimator("rloo") for name in "abc"} | {"refused": bench.estimator("reparam")}
    table = bench.compare(Nonlinear(), three_bits(), entries, **FEW | {"repetitions": 12}).set_index("estimator")
    assert table.microseconds["c"] == pytest.approx(table.microseconds["a"], rel=0.02)
    assert (table.microseconds_se[["a", "b", "c"]] > 0).all()
    assert table.loc["refused", ["microseconds", "microseconds_se"]].isna().all()
    assert len({*asked}) == 3
    untimed = bench.compare(Nonlinear(), three_bits(), entries, **FEW).set_index("estimator")
    assert untimed.microseconds.isna().all()
    assert untimed.variance.equals(table.variance)


def test_the_same_seed_gives_the_same_numbers():
    one, two, other = (
        bench.compare(Nonlinear(), three_bits(), ["rloo"], draws=50, repetitions=0, seed=s).variance[0]
        for s in (1, 1, 2)
    )
    assert one == two != other


@pytest.mark.parametrize(("change", "sentence"), [
    ({"estimators": ["rlo"]}, "There is no estimator rlo: did you mean rloo?"),
    ({"estimators": ["rloo", "rloo"]}, "Two estimators are called rloo; give them labels"),
    ({"cost": lambda z: z.sum()}, "must be [K, B]: here (2, 1), and it is ()."),
    ({"cost": lambda z: z}, "here (2, 1), and it is (2, 1, 3)."),
    ({"q": Bernoulli(torch.zeros(3))}, "q needs one batch axis, as params [B, *]; its batch shape is []."),
    ({"draws": 1}, "draws needs a whole number from 2 to 16777216; got 1."),
    ({"cost": 3}, "cost needs a function of z [K, B, *] that returns [K, B]; got 3."),
    ({"cost": lambda z: 3}, "must be a tensor [K, B] of real numbers, and it is int."),
    ({"cost": lambda z: z.sum(-1).int()}, "must be a tensor [K, B] of real numbers, and it is torch.int32."),
    ({"q": torch.zeros(1, 3)}, "q needs a latent, such as estimators.Bernoulli(logits [B, D]); got Tensor."),
    ({"estimators": {3: "rloo"}}, "a dict of labels to them; got {3: 'rloo'}."),
    ({"reference": "straight_through"}, "straight_through is not an unbiased estimator"),
    ({"reference": "reparam"}, "reparam does not differentiate bernoulli latents"),
    ({"reference": "rlo"}, "did you mean rloo?"),
])  # fmt: skip
def test_bad_input_is_one_sentence(change, sentence):
    given = {"cost": Nonlinear(), "q": three_bits(), "estimators": ["rloo"], **FEW} | change
    with pytest.raises(BadInput, match=re.escape(sentence)) as raised:
        bench.compare(**given)
    assert "\n" not in str(raised.value)


SHAPES = [
    (Bernoulli(torch.zeros(2, 3)), (2, 3)), (Gaussian(torch.zeros(2, 6)), (2, 3)),
    (Categorical(torch.zeros(2, 3, 4)), (2, 3, 4)), (VQ(torch.randn(2, 3, 2), torch.randn(4, 2), 1.0), (2, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("q", "point"), SHAPES, ids=[type(q).__name__ for q, _ in SHAPES])
def test_a_cost_is_handed_the_promised_shape(q, point):
    handed = set()

    def cost(z):
        handed.add(z.shape[1:])
        assert z.ndim == len(point) + 1
        return (z.flatten(2) * torch.ones(len(q.params), 1)).square().sum(-1)

    table = bench.compare(cost, q, bench_names(q), **FEW)
    assert handed == {point}
    assert table.reason.isna().any()
    loose = bench.compare(lambda z: z.flatten(-len(point) + 1).square().sum(-1), q, bench_names(q), **FEW)
    numbers = ["variance", "bias_sq", "evaluations", "evaluations_backward"]
    assert table[numbers].equals(loose[numbers])  # as those that take any leading axes


def bench_names(q):
    """The options whose estimators take many shapes of points."""
    return ["rloo", "disarm", "exact", "straight_through", "reparam", "local_expectation", "measure_valued", "relax"]


@pytest.mark.parametrize(
    "estimators", ["rloo", "", bench.estimator("rloo"), type(bench.estimator("rloo")), [3], [None], {"a": 3}, None, 5]
)
def test_what_is_no_list_of_estimators(estimators):
    with pytest.raises(BadInput, match="estimators needs a list of names or estimators") as told:
        bench.compare(Nonlinear(), three_bits(), estimators, **FEW)
    assert len(str(told.value).splitlines()) == 1


def test_what_learns_is_told_to_be_untrained_and_can_be_trained():
    network = bench.estimator("reinforce", baseline="network")
    lazy = [p for p in network.parameters() if isinstance(p, UninitializedParameter)]
    assert lazy
    entries = {"relax": bench.estimator("relax"), "network": network, "rloo": bench.estimator("rloo")}
    untrained = bench.compare(Nonlinear(), three_bits(), entries, **FEW).set_index("estimator")
    assert untrained.tuning_steps[["relax", "network"]].tolist() == [0, 0]
    assert untrained.tuning_steps.isna()["rloo"]
    relax = bench.compare(Nonlinear(), three_bits(), {"relax": entries.pop("relax")}, **FEW, tuning_steps=20)
    assert relax.tuning_steps.tolist() == [20]
    trained = bench.compare(Nonlinear(), three_bits(), entries, **FEW, tuning_steps=2000).set_index("estimator")
    assert trained.tuning_steps["network"] == 2000
    assert trained.variance["network"] < 0.8 * untrained.variance["network"]
    assert trained.variance["rloo"] == untrained.variance["rloo"]
    assert all(isinstance(p, UninitializedParameter) for p in lazy)  # the user's own is left alone
    with pytest.raises(BadInput, match="tuning_steps needs a whole number"):
        bench.compare(Nonlinear(), three_bits(), entries, **FEW, tuning_steps=-1)
    with pytest.raises(BadInput, match="repetitions needs a whole number from 0 to 65536; got -1"):
        bench.compare(Nonlinear(), three_bits(), entries, **FEW | {"repetitions": -1})
