"""Random streams: every seed and every purpose has its own, on the processor too."""

import pytest
import torch

from bench.config.prepare import prepare
from bench.errors import BadInput
from bench.run.single import run
from bench.streams import derived, generator, own_stream
from tests.support.composed import resolved
from tests.support.runs import config, numbers


def first(seed, purpose="a"):
    with own_stream(seed, purpose):
        return torch.rand(4)


@pytest.mark.parametrize("other", [2**32, 2**32 + 1, 2**40, 1])
def test_seeds_that_agree_in_their_lowest_bits_are_different_seeds(other):
    base = other % 2**32 if other > 1 else 0
    assert not torch.equal(first(base), first(other))
    assert not torch.equal(*(torch.rand(4, generator=generator(seed, "a")) for seed in (base, other)))
    assert torch.equal(first(other), first(other))


def test_the_purposes_of_a_seed_are_different_streams():
    purposes = ["weights", "training", "gradient", "evaluation", "timing", "images", "probe", "batches of training"]
    assert len({derived(seed, purpose) % 2**32 for seed in range(100) for purpose in purposes}) == 800


def test_seeds_that_differ_by_two_to_the_32_are_different_runs(tmp_path):
    found = []
    for seed in (0, 2**32):
        run(config("latent=bernoulli_small", f"seed={seed}"), tmp_path / str(seed))
        found.append(numbers(tmp_path / str(seed)))
    for table, column in (("objective", "elbo"), ("gradient", "variance_noise")):
        mine, other = ([row[column] for row in one[table]] for one in found)
        assert not set(mine) & set(other)


def test_a_measurement_of_one_seed_and_step_is_no_measurement_of_another():
    assert derived(0, "measurement at step 500") != derived(500, "measurement at step 0")


@pytest.mark.parametrize("key", ["seed", "seeds.measure"])
def test_replicas_reach_no_seed_that_is_refused(key):
    most = 2**53 - 1
    prepare(resolved(f"{key}={most}"))
    with pytest.raises(BadInput, match=rf"replicas=2 would take {key} up to {most + 1}, which must be below"):
        prepare(resolved(f"{key}={most}", "replicas=2"))
