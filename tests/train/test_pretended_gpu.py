"""What a GPU would make of the suite's steps and draws, without one: waits of the host, mixed devices, and graphs.

Some pairs of options and families, among them each kind of noise, of state and of own parameters;
`python -m tests.support.pretended` has all.
"""

import pytest

from tests.support.pretended import library

SOME = [
    ("gaussian", "reparam"),
    ("bernoulli", "disarm"),
    ("bernoulli", "nvil"),
    ("bernoulli", "gumbel_softmax_annealed"),
    ("categorical", "rebar"),
    ("categorical", "mve"),
    ("vq", "rloo"),
]
SOME_MODELS = [("rssm", "rebar"), ("experts", "top1_gate"), ("coupled bits", "rloo"), ("bits", "rebar")]
COSINE = {"schedule": "cosine", "steps": 7}
TRAININGS = [  # option, family, engine, replicas, settings of the training
    (option, family, engine, replicas, settings)
    for option, family, settings, engines in (
        ("rloo", "bernoulli", {}, ("eager", "graph", "compiled_graph")),
        ("nvil", "bernoulli", COSINE, ("eager", "graph")),
        ("rloo", "categorical", COSINE | {"optimiser": "sgd"}, ("eager", "graph")),
    )
    for replicas in (1, 3)
    for engine in engines
    if replicas == 1 or engine != "compiled_graph"
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows(request):
    """What was seen of a few options."""
    return library.run(request.config.cache, "sweep:pairs", SOME, timeout=300)


@pytest.fixture(scope="module")
def of_models(request):
    """What was seen of other models."""
    return library.run(request.config.cache, "models:pairs", SOME_MODELS, timeout=300)


@pytest.fixture(scope="module")
def trainings(request):
    """By option, family, replicas and engine: losses and kernels."""
    found = library.run(request.config.cache, "training:several", TRAININGS, timeout=300)
    return {(o, f, r, e): each for (o, f, e, r, _), each in zip(TRAININGS, found, strict=True)}


@pytest.fixture(scope="module")
def refused(request):
    """What becomes of steps that no graph can record."""
    return library.run(request.config.cache, "training:refused")


def test_no_step_waits_or_mixes_devices(rows):
    assert [row["train"] for row in rows] == [[]] * len(SOME)


def test_draws_wait_once_for_where_they_belong(rows):
    for row in rows:
        assert [kind for kind, _, _ in row["take"]] == ["wait"], row["take"]
        assert row["take kernels"] > 50


def test_nothing_is_wrong_with_other_models_and_problems(of_models):
    for row in of_models:
        assert row["wrong"] == []
        assert len(set(row["eager"])) > 3  # losses move


def test_draws_of_a_gpu_are_few_kernels(request):
    found = library.run(request.config.cache, "draws:kernels", 103, 410)
    assert 100 < found["encoder"] <= 300
    assert 100 < found["both"] <= 500


def test_evaluations_mix_no_devices(rows):
    for row in rows:
        assert {kind for kind, _, _ in row["evaluate"]} == {"wait"}


def test_a_graph_trains_like_eager(rows):
    for row in rows:
        assert row["obstacle"] is None
        assert row["graph"] == pytest.approx(row["eager"], rel=1e-5)
        assert len(set(row["eager"])) > 3  # losses move


def test_every_graph_trains_like_eager_whatever_the_rates_and_the_replicas(trainings):
    for (option, family, replicas, engine), found in trainings.items():
        eager = trainings[option, family, replicas, "eager"]
        assert found["losses"] == pytest.approx(eager["losses"], rel=1e-5), (option, family, replicas, engine)
        assert len(set(found["losses"])) == len(found["losses"])


def test_a_graph_leaves_the_host_the_numbers_of_the_images_the_rates_and_the_loss(trainings):
    """Two copies, a number for each rate that changes, and where an epoch begins an order for each replica, which are
    put together."""
    for (option, family, replicas, engine), found in trainings.items():
        rates = {"bernoulli": 0, "categorical": 1}[family] if option == "rloo" else 2
        if engine != "eager":
            assert found["launched"] == 2 + rates + replicas + (replicas > 1)
            assert found["in the graph"] > 100
        else:
            assert found["launched"] > 100


def test_a_failed_capture_is_one_sentence_and_nothing_has_moved(refused):
    found = refused["failing"]
    assert found["said"].startswith("The GPU could not record a training step as a graph (CUDA error: operation not")
    assert found["said"].endswith("; engine=eager and engine=compile run.")
    assert found["still"]
    assert found["steps"] == 3


def test_what_cannot_be_recorded_is_refused_or_eager_as_asked(refused):
    reason = "a step of rloo, which needs the value of a tensor on the host (Tensor.item() cannot be called on meta"
    for engine in ("graph", "compiled_graph"):
        said = f"engine={engine} cannot record {reason} tensors); engine=eager and engine=compile run."
        assert refused[f"{engine}, none"] == [said]
        assert refused[f"{engine}, eager"] == ["eager", "Trainer"]


def test_noise_is_drawn_into_the_rows_of_a_tensor(request):
    values = library.run(request.config.cache, "planted:into_rows")
    assert len(set(values[:8])) == 8
    assert values[8:] == [0] * 4


def test_what_is_planted_is_seen(request):
    seen = library.run(request.config.cache, "planted:seen")
    for fault, (kinds, captured) in seen.items():
        nothing = fault.startswith("nothing")
        assert kinds == ([] if nothing else ["mix"] if fault == "mixes" else ["wait"]), fault
        assert captured == nothing, fault
