"""The first screen: who leads, with the numbers of the comparison and of the pairs, and no more certainty than that."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.report.collection.collect import collect, find
from bench.report.collection.compare import comparison
from bench.report.collection.pairs import pairs
from bench.report.page.answer import rankings
from bench.report.page.statements import cell, details
from bench.tables.schema import OWN_TRAINING
from bench.tables.store import write
from tests.support.shared_runs import shared
from tests.support.synthetic_runs import ESTIMATORS, collection, config, place, runs_row, tables

SEVERAL = tuple(e for e in ESTIMATORS if e[0] in ("disarm", "exact", "rloo", "straight_through", "gumbel_softmax"))


@pytest.fixture(scope="module")
def bernoulli_sweep(tmp_path_factory):
    """One family, seven configurations, three seeds; read only."""
    root = tmp_path_factory.mktemp("own")
    collection(root, families=("bernoulli",), estimators=SEVERAL)
    return collect(find([root]))[0]


def by_name(collected) -> dict:
    return {v.criterion.name: v for v in rankings(collected)}


def test_the_leaders_are_those_of_the_comparison(bernoulli_sweep):
    found, table = by_name(bernoulli_sweep), comparison(bernoulli_sweep).set_index("label")
    claimed = table[(table.unbiased == True) & (table.variance_noise_encoder > 0)]  # noqa: E712
    for name in ("variance_x_evaluations", "variance_x_seconds"):
        assert found[name].contenders[0].label == claimed[name].idxmin()
        assert found[name].noiseless == ["exact"]
    first = found["variance_x_evaluations"].contenders[0]
    k = table.evaluations[first.label]
    row = table.loc[first.label]
    assert first.value.mean == pytest.approx(k * row.variance_noise_encoder)
    assert first.value.n == row.variance_noise_encoder_n == 3
    assert first.value.low < first.value.mean < first.value.high
    bound = found["bound"].contenders[0]
    assert bound.label == table.elbo_test.idxmax()
    assert bound.value.mean == pytest.approx(table.elbo_test[bound.label])
    assert bound.value.low < bound.value.mean < bound.value.high
    assert found["seconds"].contenders[0].label == table.seconds_gradient.idxmin()


def test_biased_estimators_compete_where_bias_counts_and_not_in_noise_alone(bernoulli_sweep):
    found = by_name(bernoulli_sweep)
    labels = {name: {c.label.split()[0] for c in v.contenders} | set(v.noiseless) for name, v in found.items()}
    assert labels["variance_x_evaluations"] == {"disarm", "exact", "rloo"}
    assert labels["bias"] == {"straight_through", "gumbel_softmax"}
    assert labels["mse"] == labels["bound"] == {"disarm", "exact", "rloo", "straight_through", "gumbel_softmax"}


def test_the_runner_up_is_compared_as_in_the_pairs(bernoulli_sweep):
    for name in ("variance_x_evaluations", "variance_x_seconds"):
        first, *others = by_name(bernoulli_sweep)[name].contenders
        table = pairs(bernoulli_sweep)
        for other in others:
            a, b = sorted((first.label, other.label))
            [row] = table[(a == table.A) & (b == table.B)].to_dict("records")
            turned = a != first.label
            ratio = row[f"{name}_ratio"]
            assert other.against.mean == pytest.approx(1 / ratio if turned else ratio)
            assert other.separated == (other.against.high < 1)


def test_the_noise_of_the_arithmetic_is_none(tmp_path):
    for name, variance in (("rloo", 1.0), ("exact", 1e-14), ("arm", 2.0)):
        place(tmp_path, config(name, "bernoulli", 0), estimator=name, variance=variance)
    ranking = by_name(collect(find([tmp_path]))[0])["variance_x_evaluations"]
    assert (ranking.noiseless, ranking.contenders[0].label) == (["exact"], "rloo")


def test_the_control_is_no_contender(tmp_path):
    for name in ("detached", "rloo"):
        for seed in range(3):
            place(tmp_path, config(name, "bernoulli", seed), estimator=name, changes={"unbiased": name == "rloo"})
    found = rankings(collect(find([tmp_path]))[0])
    assert {c.label for v in found for c in v.contenders} == {"rloo"}


@pytest.mark.parametrize(("seeds", "words"), [(1, "1 seed: too few to compare"), (2, "2 seeds: too few to compare")])
def test_few_seeds_are_said_to_be_few(tmp_path, seeds, words):
    for seed in range(seeds):
        place(tmp_path, config("rloo", "bernoulli", seed), estimator="rloo", variance=1.0)
        place(tmp_path, config("arm", "bernoulli", seed), estimator="arm", variance=50.0)
    collected = collect(find([tmp_path]))[0]
    assert cell(by_name(collected)["variance_x_evaluations"])["statement"] == words
    listing = details(rankings(collected))
    at = listing.columns.index("ties with")
    said = {row[1].text: row[at].text for row in listing.rows}
    assert said["Noise at equal evaluations (nats²)"] == "too few seeds to compare"


def test_equals_tie_and_unequals_are_separated(tmp_path):
    noise = np.random.default_rng(0)
    for seed in range(5):
        for name, variance in (("rloo", 1.0), ("arm", 1.0), ("rebar", 100.0)):
            changed = variance * math.exp(noise.normal(0, 0.3))
            place(tmp_path, config(name, "bernoulli", seed), estimator=name, variance=changed)
    ranking = by_name(collect(find([tmp_path]))[0])["variance_x_evaluations"]
    assert len(ranking.ties) == 1
    assert {ranking.contenders[0].label, *ranking.ties} == {"rloo", "arm"}
    assert ranking.contenders[2].separated
    assert cell(ranking)["statement"] == f"ties with {ranking.ties[0]}"


def test_a_bias_that_noise_made_small_does_not_lead(tmp_path):
    for name, bias, error in (("st", 0.1, 0.01), ("noisy", -0.5, 2.0), ("gs", 0.4, 0.01)):
        row = runs_row(config(name, "bernoulli", 0), name, unbiased=False)
        made = tables(row)
        made["gradient"] = [g | {"bias_sq": bias, "bias_sq_se": error} for g in made["gradient"]]
        write(tmp_path / row["run"], made)
    ranking = by_name(collect(find([tmp_path]))[0])["bias"]
    assert [c.label for c in ranking.contenders] == ["st", "gs", "noisy"]
    assert ranking.ties == ["noisy"]


def test_at_a_shared_checkpoint_the_draws_judge_and_nothing_is_mixed(tmp_path):
    for name in ("rloo", "arm"):
        shared(tmp_path, name)
    place(tmp_path, config("rloo", "bernoulli", 0))
    collected = collect(find([tmp_path]))[0]
    found = {(v.panel[3], v.criterion.name): v for v in rankings(collected)}
    assert {c.label for c in found[OWN_TRAINING, "variance_x_evaluations"].contenders} == {"rloo"}
    ranking = found["rloo", "variance_x_evaluations"]
    assert (ranking.by_draws, ranking.ties) == (True, [])
    rows = collected.tables["gradient"].to_pandas()
    rows = rows[(rows.part == "encoder") & (rows.trained_with == "rloo")].set_index("estimator")
    relative = rows.variance_noise_se / rows.variance_noise
    first, second = ranking.contenders
    assert (first.label, second.label) == ("rloo", "arm")
    ratio = rows.variance_noise["rloo"] / rows.variance_noise["arm"]
    half = stats.t.ppf(0.975, 31) * math.hypot(relative["rloo"], relative["arm"])
    assert second.against[:3] == pytest.approx((ratio, ratio * math.exp(-half), ratio * math.exp(half)))
    assert first.value.low == pytest.approx(
        rows.variance_noise["rloo"] * math.exp(-stats.t.ppf(1 - 0.025 / 2, 31) * relative["rloo"])
    )
    assert ("rloo", "bound") not in found


def test_where_nothing_has_noise_nobody_leads(tmp_path):
    exact = tuple(e for e in ESTIMATORS if e[0] == "exact")
    collection(tmp_path, families=("bernoulli",), estimators=exact)
    ranking = by_name(collect(find([tmp_path]))[0])["variance_x_evaluations"]
    assert (ranking.contenders, ranking.noiseless) == ([], ["exact"])
