"""The files of `conf/published`: each is read, its commands are jobs that can run, its forms fit together."""

from functools import cache

import pytest
import yaml

from bench.config.prepare import prepare
from bench.errors import BadInput
from bench.published.choice import chosen
from bench.published.command import commands
from bench.published.expected import FOLDER, LITTLE, TIMED, names, read
from bench.report.query import FUNCTIONS
from bench.run.rows import steps_of
from bench.train.optimise import factor
from tests.support.composed import resolved

EVERY = [read(name) for name in names()]
IDS = [each.name for each in EVERY]


@cache
def config_of(words: tuple[str, ...]) -> dict:
    """The configuration of the first job of a sweep, checked."""
    return prepare(resolved(*(word if "[" in word else word.partition(",")[0] for word in words if word[:2] != "--")))


def sweeps(each, form):
    return [tuple(words) for words in commands(each, form, ["device=cpu"])]


@pytest.mark.parametrize("each", EVERY, ids=IDS)
def test_every_sweep_has_jobs_that_pass_the_check(each):
    for form, words in [(form, sweeps(each, form)[0]) for form in ("short", TIMED)] + [
        ("full", words) for words in sweeps(each, "full")
    ]:
        config = config_of(words)
        assert config["train"]["steps"] == each.form(form).steps
        assert config["seed"] == each.form(form).seeds[0]


@pytest.mark.parametrize("each", EVERY, ids=IDS)
def test_our_longer_run_is_evaluated_where_the_short_form_ends(each):
    needed = {row.ours.split()[0] for row in each.rows if row.short is None and "last" in row.ours.split()}
    config = config_of(sweeps(each, "full")[0])
    for table, group in (("objective", "evaluate"), ("gradient", "measure")):
        if table in needed:
            assert each.short.steps in steps_of(config, group), table


@pytest.mark.parametrize("each", EVERY, ids=IDS)
def test_until_the_short_form_ends_its_learning_rates_are_those_of_our_longer_run(each):
    """Otherwise the longer run says nothing of it."""
    short, full = (config_of(sweeps(each, form)[0])["train"] for form in ("short", "full"))
    if any(row.short is None and "last" in row.ours.split() for row in each.rows):
        steps = {*range(min(each.short.steps, 50)), *range(0, each.short.steps, 97), each.short.steps - 1}
        assert [factor(step, short) for step in steps] == [factor(step, full) for step in steps]


@pytest.mark.parametrize(
    ("estimator", "temperature"),
    [("straight_through", 1), ("gumbel_rao", 1), ("reinmax", 1.3), ("st_gumbel_softmax", 1)],
)
def test_in_reinmax_8x4_only_reinmax_has_a_temperature_of_its_own(estimator, temperature):
    each, _ = chosen(read("reinmax_8x4"), "full", [f"estimator={estimator}"])
    [words] = sweeps(each, "full")
    assert config_of(words)["estimator"]["temperature"] == temperature


@pytest.mark.parametrize("each", EVERY, ids=IDS)
def test_no_two_rows_are_one_and_all_words_of_a_query_mean_something(each):
    assert len({row.what for row in each.rows}) == len({row.ours for row in each.rows}) == len(each.rows)
    assert each.differs
    assert any(row.full or row.short for row in each.rows)
    for row in each.rows:
        words = row.ours.split()
        assert words[0] in ("objective", "gradient", "cost")
        assert {"last", *FUNCTIONS} & {*words} or any(word.startswith("step=") for word in words)


def seeds_of(name):
    return [
        word for word in commands(read(name), "full", [], together=True)[0] if word.startswith(("seed", "replicas"))
    ]


def test_forms_are_read_as_they_are_written():
    each = read("polynomial_programming")
    assert (each.full.steps, each.full.seeds, each.short.seeds) == (8000, tuple(range(10)), (0, 1, 2))
    assert each.form(TIMED)[1:] == ((0,), LITTLE)
    assert seeds_of("polynomial_programming") == ["seed=0,1,2,3,4,5,6,7,8,9"]  # a problem, which has no replicas
    assert seeds_of("reinmax_8x4") == ["seed=0", "replicas=10"]
    assert seeds_of("rodeo_bound") == ["seed=1", "replicas=5"]
    pool = commands(each, "short", ["estimator.k=3"], jobs=2)[0]
    assert pool[-1] == "estimator.k=3"
    assert {"hydra/launcher=pool", "hydra.launcher.n_jobs=2", "seed=0,1,2"} <= {*pool}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": []}, "has no rows"),
        ({"full": {"steps": "many", "seeds": [0]}}, "steps and seeds need whole numbers"),
        ({"full": {"steps": 3, "seeds": []}}, "steps and seeds need whole numbers"),
        ({"colour": "red"}, "colour"),
        (
            {"rows": [{"what": "x", "ours": "y", "full": {"value": 1, "sure": "certain", "source": ""}}]},
            "sure is one of",
        ),
        ({"rows": [{"what": "x", "ours": "y", "full": {"value": "1", "sure": "exact", "source": ""}}]}, "need numbers"),
        (
            {"rows": [{"what": "x", "ours": "y", "full": {"value": 1, "sd": 1.0, "sure": "secondary", "source": ""}}]},
            "sd needs seeds",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, change, words):
    given = yaml.safe_load((FOLDER / "muprop_one_layer.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(given))
    assert read("mine", tmp_path)._replace(name="muprop_one_layer") == read("muprop_one_layer")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(given | change))
    with pytest.raises(BadInput, match=words):
        read("mine", tmp_path)


def test_a_name_that_is_none_is_told_the_others():
    with pytest.raises(BadInput, match=r"no published numbers 'mupropp'; there are gumbel_rao_table2, .*, structured"):
        read("mupropp")
