"""The comparison of the report: whose numbers are averaged, which are kept apart, and which do not count."""

import numpy as np
import pytest

from bench.report.collection.collect import collect, find
from bench.report.collection.compare import comparison, to_arrow
from bench.report.collection.statistics import t_interval
from bench.tables.columns import COMPARISON
from bench.tables.store import write
from tests.support.synthetic_runs import SOME, collection, config, place, runs_row, tables


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Two families, five configurations, three seeds; read only."""
    root = tmp_path_factory.mktemp("sweep")
    collection(root, families=("bernoulli", "vq"), estimators=SOME)
    return collect(find([root]))[0]


def test_labels_of_a_sweep(collected):
    expected = {"arm", "exact", "rloo k=2", "rloo k=4", "straight_through"}
    assert set(collected.units.label) == expected
    assert set(collected.units.setting) == {""}


def test_objectives_settings_and_checkpoints_are_never_mixed(tmp_path):
    for seed in (0, 1):
        place(tmp_path, config("rloo", "bernoulli", seed))
        place(tmp_path, config("rloo", "bernoulli", seed, data__name="mnist"))
        place(tmp_path, config("rloo", "bernoulli", seed, train__iwae=True), changes={"objective": "iwae"})
    rows = comparison(collect(find([tmp_path]))[0])
    assert list(zip(rows.objective, rows.setting, rows.seeds, strict=True)) == [
        ("elbo", "digits", 2), ("elbo", "mnist", 2), ("iwae", "digits", 2),
    ]  # fmt: skip


def test_the_comparison_agrees_with_the_rows(collected):
    rows = comparison(collected).set_index(["family", "label"])
    row = rows.loc["bernoulli", "rloo k=2"]
    runs = collected.units[(collected.units.family == "bernoulli") & (collected.units.label == "rloo k=2")].run
    objective = collected.tables["objective"].to_pandas()
    final = objective[objective.run.isin(runs) & (objective.step == 1000) & (objective.split == "test")].elbo
    assert (row.elbo_test, row.elbo_test_low, row.elbo_test_high) == pytest.approx(t_interval(final)[:3])
    gradient = collected.tables["gradient"].to_pandas()
    noise = gradient[gradient.run.isin(runs) & (gradient.step == 1000) & (gradient.part == "latent")].variance_noise
    assert row.variance_noise_latent == pytest.approx(np.exp(np.log(noise).mean()))
    cost = collected.tables["cost"].to_pandas()
    seconds = cost[cost.run.isin(runs) & (cost.what == "gradient")].seconds.median()
    assert row.seconds_gradient == pytest.approx(seconds)
    assert row.variance_x_evaluations == pytest.approx(row.variance_noise_encoder * 2)
    assert row.variance_x_seconds == pytest.approx(row.variance_noise_encoder * seconds)


def test_what_did_not_end_well_is_counted_and_not_averaged(tmp_path):
    place(tmp_path, config("rloo", "bernoulli", 0))
    alone = comparison(collect(find([tmp_path]))[0])
    for seed, status in enumerate(("diverged", "failed", "skipped"), start=1):
        place(tmp_path, config("rloo", "bernoulli", seed), changes={"status": status}, variance=99.0)
    row = comparison(collect(find([tmp_path]))[0]).iloc[0]
    assert (row.done, row.diverged, row.failed, row.skipped, row.seeds) == (1, 1, 1, 1, 1)
    assert row.elbo_test == alone.elbo_test[0]
    assert row.variance_noise_encoder == alone.variance_noise_encoder[0]


def test_an_invalid_timing_is_no_timing(tmp_path):
    made = tables(runs_row(config("rloo", "bernoulli", 0), "rloo"), evaluations=4)
    made["cost"] = [row | {"valid": False} for row in made["cost"]]
    write(tmp_path / "run", made)
    row = comparison(collect(find([tmp_path]))[0]).iloc[0]
    assert np.isnan(row.seconds_gradient)
    assert np.isnan(row.variance_x_seconds)
    assert row.evaluations == 4


def test_the_comparison_has_its_schema(collected):
    table = to_arrow(comparison(collected), COMPARISON)
    assert table.column_names == list(COMPARISON)
    assert [field.type for field in table.schema] == [column.type for column in COMPARISON.values()]
    assert table["elbo_test"].null_count == 1  # arm on vq, which was skipped; NaN has become null
