"""What a run may ask for ends before the memory or the time does, in a sentence that says what would help."""

import resource

import pytest
import torch

from bench import machine
from bench.config import plugins
from bench.config.nodes import node
from bench.config.prepare import check_keys, prepare
from bench.config.rules import MANY, PROBE, RULES
from bench.errors import BadInput
from bench.model.codebook import contradiction
from bench.run import memory
from bench.run.device import set_up
from bench.run.failures import explain, out_of_memory
from bench.run.perform import start
from bench.run.single import run
from tests.support.composed import resolved
from tests.support.from_rules import KEYS, base, changed, one_sentence_about
from tests.support.small import run_config
from tests.support.stopped import stopping

HUGE = 2**53 - 1
WHOLE = [key for key in KEYS if RULES[key].kind is int and "seed" not in key]
RLOO = {"_target_": "estimators.rloo.RLOO", "k": 4}
ASKED = {"estimator.k": HUGE, "replicas": 10**9, "measure.draws": 10**9, "evaluate.prior_samples": 10**12}


@pytest.mark.parametrize(("key", "value"), [*ASKED.items(), *((key, HUGE) for key in WHOLE)])
def test_every_whole_number_but_a_seed_has_an_upper_bound(key, value):
    config = resolved("device=cpu") if key in ASKED else base(key)[1]
    with pytest.raises(BadInput) as refused:
        prepare(changed(config, key, [value] if key in RULES and RULES[key].many else value))
    assert one_sentence_about(str(refused.value), key)


@pytest.mark.parametrize("key", [key for key, rule in PROBE.items() if rule.kind is int])
def test_those_of_probe_too(key):
    with pytest.raises(BadInput) as refused:
        check_keys({key: [HUGE] if PROBE[key].many else HUGE}, PROBE)
    assert one_sentence_about(str(refused.value), key)


def test_so_have_those_of_every_estimator():
    seen = set()
    for name, (cls, _) in plugins.registry().items():
        for argument in (f.name for f in node(cls).__dataclass_fields__.values() if f.type is int):
            config = resolved("device=cpu", f"estimator={name}")
            with pytest.raises(BadInput, match=rf"estimator\.{argument} needs a whole number up to {MANY}; got"):
                prepare(changed(config, f"estimator.{argument}", HUGE))
            seen.add(argument)
            break
    assert {"k", "limit"} <= seen


def test_the_largest_seed_is_none_too_many():
    assert prepare(changed(resolved("device=cpu"), "seed", HUGE))["seed"] == HUGE


@pytest.mark.parametrize("latent", [{"codebook": "lfq", "dim": MANY}, {"codebook": "fsq", "levels": [MANY] * 9}])
def test_codes_that_are_products_are_counted_only_so_far(latent):
    said = contradiction({"dim": 9, "codes": 8, "restart": 0.0, **latent})
    assert f"makes more than {MANY} codes: lower latent." in said


@pytest.mark.parametrize(("cores", "threads", "refused"), [(2, 1024, True), (2, 17, True), (2, 16, False)])
def test_threads_beyond_any_use_are_refused_where_the_run_is(cores, threads, refused, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: cores)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    config = run_config("bernoulli", {}) | {"threads": threads}
    if refused:
        with pytest.raises(BadInput, match=f"threads={threads} is too many for the 2 cores of this machine; up to 16"):
            set_up(config)
    else:
        set_up(config)
    monkeypatch.setattr(machine, "cores", lambda: 2048)
    set_up(config)


# Memory


@pytest.fixture
def unbounded():
    """This process is as it was afterwards."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.mark.skipif(memory.left() is None, reason="this system does not tell how much memory is left")
def test_a_run_cannot_ask_for_more_memory_than_is_left(unbounded, monkeypatch):
    monkeypatch.setattr(memory, "left", lambda: 2**31)
    memory.bound_memory("cpu")
    held = []

    def take():
        while len(held) < 9:  # untouched, so that the system itself gives them all
            held.append(torch.empty(2**29, dtype=torch.uint8))

    with pytest.raises(RuntimeError) as error:
        take()
    assert 1 <= len(held) <= 4
    assert str(out_of_memory(error.value)).startswith("Out of memory of the machine: lower ")
    memory.bound_memory("cuda")  # whose driver reserves what it never touches
    take()


def test_where_the_system_does_not_tell_nothing_is_bounded(unbounded, monkeypatch):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    monkeypatch.setattr(memory, "left", lambda: None)
    memory.bound_memory("cpu")
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def no_memory(*args, **kwargs):
    raise MemoryError


PLACES = {  # what asks for too much -> what helps there
    "bench.measure.evaluate._bounds": "evaluate.samples or evaluate.examples",
    "bench.run.rows.evaluate": "evaluate.examples or evaluate.samples",
    "bench.run.rows.measure": "measure.memory or measure.batch_size or estimator.k",
    "bench.measure.gradient.draws.EncoderPull": "measure.memory or measure.batch_size or estimator.k",
    "bench.run.images.pictures": "evaluate.images or latent.dim",
    "bench.run.rows.costs": "train.batch_size or estimator.k",
}


@pytest.mark.parametrize(("place", "helps"), PLACES.items(), ids=PLACES)
def test_what_to_lower_is_what_sizes_the_work_at_hand(place, helps, tmp_path, monkeypatch):
    config = run_config("bernoulli", RLOO, measure={"memory": 2})
    monkeypatch.setattr(place, no_memory)
    assert run(config, tmp_path).reason == f"Out of memory of the machine: lower {helps}."


def test_in_training_it_is_what_sizes_a_step(tmp_path, monkeypatch):
    stopping(monkeypatch, 3, no_memory)
    config = run_config("categorical", RLOO)
    assert run(config, tmp_path).reason == "Out of memory of the machine: lower train.batch_size or estimator.k."


@pytest.mark.parametrize(
    ("changes", "helps"),
    [
        ({"measure": {"batch_size": 50}, "latent": {"dim": 50}}, "measure.batch_size or estimator.k"),
        ({"latent": {"dim": MANY}, "model": {"hidden": [MANY]}}, "model.hidden or latent.dim"),
    ],
)
def test_what_is_too_much_from_the_start_is_refused_with_what_helps(changes, helps, unbounded, monkeypatch):
    monkeypatch.setattr(memory, "left", lambda: 2**31)
    config = run_config("bernoulli", RLOO | {"k": MANY}, **changes)
    with pytest.raises(RuntimeError) as error:
        start([config])
    assert explain(error.value, config) == f"Out of memory of the machine: lower {helps}."
