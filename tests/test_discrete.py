"""DisARM, REBAR and the relaxations: exact means where the noise is enumerated or integrated, z-tests where not."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from estimators import VQ, Bernoulli, Categorical
from estimators.disarm import Disarm
from estimators.gumbel_softmax import GumbelSoftmax
from estimators.rebar import Rebar
from estimators.schedules import ExponentialAnnealing
from estimators.st_gumbel_softmax import STGumbelSoftmax
from estimators.straight_through import StraightThrough
from estimators.vq_straight_through import VQStraightThrough

THREE_BITS = torch.tensor([[0.3, -0.7, 1.1]], dtype=torch.float64)
GRADIENT = torch.tensor([[0.01865208589731296, 0.3989724843577506, -0.02695848095446493]], dtype=torch.float64)
EVERY = [
    (estimator, family)
    for estimator in (Rebar, GumbelSoftmax, STGumbelSoftmax, StraightThrough)
    for family in ("bernoulli", "categorical", "vq")
] + [(Disarm, "bernoulli"), (VQStraightThrough, "vq")]
NAMES = [f"{estimator.name}-{family}" for estimator, family in EVERY]
RELAXED = [(estimator, family) for estimator, family in EVERY if estimator in (STGumbelSoftmax, StraightThrough)]


def three_bits(b, q=None):
    squared = (b @ torch.tensor([1, -2, 0.5], dtype=b.dtype) - 0.4) ** 2
    return squared + b.prod(-1) / 2 + (0.3 * b[..., 0] - 0.2 * b[..., 1]).exp()


def interacting(z, q=None):
    """A cost of points `[K, ..., B, D, C]` in which every pair of coordinates interacts."""
    size = math.prod(z.shape[-2:])
    features = z.flatten(-2) @ torch.linspace(-1, 1, 3 * size, dtype=z.dtype).cos().mul(9).sin().view(size, 3)
    return features[..., 0] * features[..., 1] + (0.5 * features[..., 2]).exp() + features.sum(-1) ** 2


def make(family, batch):
    generator = torch.Generator().manual_seed(1)
    shape = {"bernoulli": (3,), "categorical": (2, 3), "vq": (2, 2)}[family]
    params = torch.randn(*batch, *shape, dtype=torch.float64, generator=generator).requires_grad_()
    codebook = torch.randn(3, 2, dtype=torch.float64, generator=generator)
    return {"bernoulli": Bernoulli, "categorical": Categorical, "vq": lambda p: VQ(p, codebook, 0.7)}[family](params)


def at_vectors(z, q=None):
    """A cost of vectors that VQ places in the decoder's input."""
    return interacting(z[..., -2:])


def cost_of(q, estimator=None):
    if estimator is VQStraightThrough:
        return at_vectors
    return three_bits if isinstance(q, Bernoulli) else interacting


def injected(q, **noise):
    """The same q, whose methods named in `noise` hand out the given tensors `[K, ..., B, *]` in turn."""

    def method(values):
        turns = itertools.cycle(values)

        def draw(self, k):
            value = next(turns)
            assert value.shape[0] == k
            return value

        return draw

    kind = type("Injected", (type(q),), {name: method(values) for name, values in noise.items()})
    return kind(q.params, q.codebook, q.temperature) if isinstance(q, VQ) else kind(q.params)


def replicated(q, replicas):
    """q at a leaf `[R, ..., B, *]` of R copies of its parameters."""
    return q.with_params(q.params.detach().expand(replicas, *q.params.shape).clone().requires_grad_())


def gradient(estimator, q, cost):
    return torch.autograd.grad(estimator(q, cost, None).loss.sum(), q.params)[0]


def moments(gradients, weights):
    """Mean, and trace of the covariance, of gradients `[R, *]` that occur with the given probabilities `[R]`."""
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    mean = torch.einsum("r,r...->...", weights, gradients)
    return mean, (weights @ (gradients - mean).flatten(1).square().sum(1)).item()


def exact_gradient(q, cost):
    """d E cost / d params, by enumerating the states of q."""
    z = q.enumerate().expand(-1, *q.logits.shape)
    return torch.autograd.grad((q.log_prob(z).exp() * cost(z)).sum(), q.params)[0]


def assert_mean(gradients, weights, expected, tolerance=1e-10):
    torch.testing.assert_close(moments(gradients, weights)[0], expected, rtol=0, atol=tolerance)


def assert_unbiased(gradients, expected, detectable):
    """|z| < 4.5 in every coordinate, and biases above `detectable` would have been found."""
    error = gradients.std(0) / len(gradients) ** 0.5
    assert 4.5 * error.max().item() < detectable
    assert ((gradients.mean(0) - expected) / error).abs().max().item() < 4.5


def over_uniform(q, pairs):
    """q replicated over all regions of `pairs` uniform draws in which antithetic bits are constant, and the weights.

    The bits of u and 1 - u change at u = p and u = 1 - p only.
    """
    p = q.probs.detach().flatten()
    edges = torch.stack([p * 0, torch.minimum(p, 1 - p), torch.maximum(p, 1 - p), p * 0 + 1])  # [4, D]
    middles, widths = (edges[1:] + edges[:-1]) / 2, edges.diff(dim=0)  # [3, D]
    coordinates = list(range(len(p))) * pairs
    cells = torch.tensor(list(itertools.product(range(3), repeat=len(coordinates))))  # [R, pairs * D]
    u = middles[cells, coordinates].view(-1, pairs, 1, len(p)).transpose(0, 1)  # [pairs, R, 1, D]
    return injected(replicated(q, len(cells)), uniform=[u]), widths[cells, coordinates].prod(1)


def over_samples(q):
    """q replicated over its states, each its sample once, and their probabilities."""
    states = q.enumerate().expand(-1, *q.logits.shape)
    return injected(replicated(q, len(states)), sample=[states[None]]), q.log_prob(states).exp().detach().flatten()


class LostHalf(Disarm):
    def forward(self, q, cost, x):
        estimate = super().forward(q, cost, x)
        return estimate._replace(loss=2 * estimate.loss)


@pytest.mark.parametrize("k", [2, 4])
def test_disarm_three_bits(k):
    q, weights = over_uniform(Bernoulli(THREE_BITS), k // 2)
    gradients = gradient(Disarm(k=k), q, three_bits)
    assert_mean(gradients, weights, GRADIENT)
    assert moments(gradients, weights)[1] == pytest.approx(0.7575449097 * 2 / k, abs=1e-9)
    with pytest.raises(AssertionError):
        assert_mean(gradient(LostHalf(k=k), q, three_bits), weights, GRADIENT)


@pytest.mark.parametrize(("logit", "t"), [(0.4, 0.45), (-1.3, 0.8), (2.0, -0.3), (0.0, 0.2)])
def test_one_bit(logit, t):
    bit = Bernoulli(torch.tensor([[logit]], dtype=torch.float64))
    p, gap = bit.probs.item(), 1 - 2 * t
    v, exact = p * (1 - p), torch.tensor([[p * (1 - p) * gap]], dtype=torch.float64)

    def cost(b, q=None):
        return ((b - t) ** 2).sum(-1)

    q, weights = over_uniform(bit, 1)
    gradients = gradient(Disarm(), q, cost)
    assert_mean(gradients, weights, exact)
    assert moments(gradients, weights)[1] == pytest.approx(gap**2 * v * (max(p, 1 - p) / 2 - v), abs=1e-14)

    q, weights = over_samples(bit)
    gradients = gradient(StraightThrough(), q, cost)
    assert_mean(gradients, weights, exact * 0 + 2 * (p - t) * v)
    assert moments(gradients, weights)[1] == pytest.approx(4 * v**3, abs=1e-14)
    if logit != 0:  # at p = 1/2 the two means agree
        with pytest.raises(AssertionError):
            assert_mean(gradients, weights, exact)


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "vq"])
def test_straight_through_is_exact_for_linear_costs_only(family):
    bare = make(family, (1,))
    q, weights = over_samples(bare)
    slope = torch.randn_like(bare.logits)
    axes = tuple(range(-q.event_ndim, 0))

    def linear(z, q=None):
        return (z * slope).sum(axes) + 3

    assert_mean(gradient(StraightThrough(), q, linear), weights, exact_gradient(bare, linear))
    cost = cost_of(bare)
    with pytest.raises(AssertionError):
        assert_mean(gradient(StraightThrough(), q, cost), weights, exact_gradient(bare, cost))


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_straight_through_jacobians(temperature):
    logits = torch.tensor([[0.3, -0.7, 1.1]], dtype=torch.float64, requires_grad=True)
    z = torch.tensor([[[1.0, 1.0, 0.0]]], dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(three_bits(z).sum(), z)[0][0]
    a = logits.detach() / temperature
    p = a.sigmoid()
    expected = {"probs": p * (1 - p), "identity": 1, "clipped": (a.abs() <= 1).double()}
    q = injected(Bernoulli(logits), sample=[z.detach()])
    for jacobian, factor in expected.items():
        estimator = StraightThrough(jacobian=jacobian, temperature=temperature)
        torch.testing.assert_close(gradient(estimator, q, three_bits), slope * factor / temperature, rtol=0, atol=1e-12)


def one_bit(b, q=None):
    return (b[..., 0] - 0.3) ** 2 + (0.8 * b[..., 0]).exp()


def one_bit_slope(b):
    return 2 * (b - 0.3) + 0.8 * math.exp(0.8 * b)


def over_quadrature(q, draws, nodes=80):
    """One bit replicated over Gauss-Legendre nodes of its uniform draws, the first split where the bit changes."""
    x, w = (torch.from_numpy(a) / 2 for a in np.polynomial.legendre.leggauss(nodes))
    x = x + 0.5  # from (-1, 1) to (0, 1)
    edge = 1 - q.probs.item()
    axes = [torch.cat([edge * x, edge + (1 - edge) * x]), x][:draws]
    widths = [torch.cat([edge * w, (1 - edge) * w]), w][:draws]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)  # [draws, R]
    weights = torch.stack(torch.meshgrid(*widths, indexing="ij")).flatten(1).prod(0)
    q = replicated(q, points.shape[1])
    return injected(q, uniform=list(points.view(draws, 1, -1, 1, 1))), weights


@pytest.mark.parametrize(("logit", "temperature"), [(0.4, 0.5), (-1.3, 1.0)])
def test_one_bit_means_over_the_noise(logit, temperature):
    bit = Bernoulli(torch.tensor([[logit]], dtype=torch.float64, requires_grad=True))

    def soft(u):
        return 1 / (1 + math.exp(-(logit + math.log(u / (1 - u))) / temperature))

    def mean(slope):
        """E slope(soft) d soft / d logit, by an adaptive rule."""
        edge = 1 - bit.probs.item()
        integrand = lambda u: slope(soft(u)) * soft(u) * (1 - soft(u)) / temperature  # noqa: E731
        return sum(quad(integrand, *ends, epsabs=1e-12)[0] for ends in ((0, edge), (edge, 1)))

    q, weights = over_quadrature(bit, 1)
    expected = torch.full((1, 1), mean(lambda s: one_bit_slope(round(s))), dtype=torch.float64)
    assert_mean(gradient(STGumbelSoftmax(temperature=temperature), q, one_bit), weights, expected, 1e-9)
    expected = torch.full((1, 1), mean(one_bit_slope), dtype=torch.float64)
    assert_mean(gradient(GumbelSoftmax(temperature=temperature), q, one_bit), weights, expected, 1e-9)


@pytest.mark.parametrize("estimator", [GumbelSoftmax(temperature=0.7), STGumbelSoftmax(temperature=0.7)])
def test_a_bit_is_a_category_of_two(estimator):
    logits, noise = torch.randn(50, 3, dtype=torch.float64), torch.randn(1, 50, 3, dtype=torch.float64)
    bits = injected(Bernoulli(logits.requires_grad_()), uniform=[noise.sigmoid()])
    pairs = torch.stack([logits.detach(), torch.zeros_like(logits)], -1).requires_grad_()
    categories = injected(Categorical(pairs), gumbel=[torch.stack([noise, torch.zeros_like(noise)], -1)])
    expected = gradient(estimator, categories, lambda z, q=None: three_bits(z[..., 0]))[..., 0]
    torch.testing.assert_close(gradient(estimator, bits, three_bits), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("estimator", "family"), [*RELAXED, (Disarm, "bernoulli")])
def test_the_cost_and_the_decoder_see_exactly_discrete_points(estimator, family):
    q, weight, seen = make(family, (100,)), torch.tensor(1.3, dtype=torch.float64, requires_grad=True), []

    def cost(z, frozen=None):
        seen.append(z.detach())
        return cost_of(q)(weight * z)

    estimate = estimator(k=4)(q, cost, None)
    (z,) = seen
    assert ((z == 0) | (z == 1)).all()
    if family != "bernoulli":
        assert (z.sum(-1) == 1).all()
    value = cost(z).mean(0)
    torch.testing.assert_close(estimate.cost, value, rtol=0, atol=0)
    got, expected = (torch.autograd.grad(loss.sum(), weight)[0] for loss in (estimate.loss, value))
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=0)


def same_relaxation(q):
    """Planted error: the relaxed sample given z is the very one that decided z."""

    def perturbed(self, k):
        self.kept = type(q).perturbed(self, k)
        return self.kept

    return type("Same", (type(q),), {"perturbed": perturbed, "conditional": lambda self, z: self.kept})(q.params)


def held_conditional(q):
    """Planted error: the relaxed sample given z is not differentiated."""
    conditional = lambda self, z: type(q).conditional(self, z).detach()  # noqa: E731
    return type("Held", (type(q),), {"conditional": conditional})(q.params)


@pytest.mark.parametrize(("logit", "temperature"), [(0.4, 0.5), (-1.3, 1.0)])
@pytest.mark.parametrize("scale", [1.0, -0.4])
def test_rebar_one_bit_mean_over_the_noise(logit, temperature, scale):
    bit = Bernoulli(torch.tensor([[logit]], dtype=torch.float64, requires_grad=True))
    (q, weights), expected = over_quadrature(bit, 2), exact_gradient(bit, one_bit)
    estimator = Rebar(scale=scale, temperature=temperature)
    assert_mean(gradient(estimator, q, one_bit), weights, expected, 1e-8)
    for planted in (held_conditional, same_relaxation):
        with pytest.raises(AssertionError):
            assert_mean(gradient(estimator, planted(q), one_bit), weights, expected, 1e-8)


# The last number bounds the smallest bias that |z| < 4.5 shows in every coordinate over these 200,000 draws.
@pytest.mark.parametrize(("family", "detectable"), [("bernoulli", 0.011), ("categorical", 0.065), ("vq", 0.065)])
def test_rebar_is_unbiased(family, detectable):
    bare = Bernoulli(THREE_BITS.clone().requires_grad_()) if family == "bernoulli" else make(family, (1,))
    q, cost, estimator = replicated(bare, 200_000), cost_of(bare), Rebar(scale=0.8, temperature=0.6)
    expected = exact_gradient(bare, cost)
    assert_unbiased(gradient(estimator, q, cost), expected, detectable)
    if family == "bernoulli":
        torch.testing.assert_close(expected, GRADIENT, rtol=0, atol=1e-12)
        with pytest.raises(AssertionError):
            assert_unbiased(gradient(estimator, same_relaxation(q), cost), expected, math.inf)


@pytest.mark.parametrize("family", ["bernoulli", "categorical", "vq"])
def test_rebar_at_scale_0_is_reinforce_and_the_decoder_never_sees_the_relaxations(family):
    q, weight = make(family, (5,)), torch.tensor(1.3, dtype=torch.float64, requires_grad=True)

    def cost(z, frozen=None):
        return cost_of(q)(weight * z)

    def differentiate(loss):
        return torch.autograd.grad(loss.sum(), [q.params, weight])

    torch.manual_seed(3)
    z = q.sample(2)
    reinforce = differentiate((cost(z).detach() * q.log_prob(z) + cost(z)).mean(0))
    for scale in (0.0, 1.0):
        torch.manual_seed(3)
        estimator = Rebar(k=2, scale=scale)
        estimate = estimator(q, cost, None)
        encoder, decoder = differentiate(estimate.loss)
        torch.testing.assert_close(decoder, reinforce[1], rtol=1e-12, atol=0)
        assert torch.allclose(encoder, reinforce[0], rtol=0, atol=1e-12) == (scale == 0)
        torch.testing.assert_close(estimate.cost, cost(z).mean(0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
def test_rebar_tuning(family):
    q, estimator = make(family, (5,)), Rebar(k=2).double()
    own = list(estimator.parameters())

    def tuning():
        torch.manual_seed(3)
        return estimator(q, cost_of(q), None)

    estimate = tuning()
    slopes = torch.autograd.grad(estimate.tuning.sum(), [*own, q.params], allow_unused=True)
    assert slopes[-1] is None
    encoder, *from_loss = torch.autograd.grad(estimate.loss.sum(), [q.params, *own], allow_unused=True)
    assert from_loss == [None, None]
    torch.testing.assert_close(estimate.tuning, encoder.square().flatten(1).sum(1), rtol=1e-12, atol=0)
    for parameter, slope in zip(own, slopes, strict=False):
        values = []
        for step in (1e-5, -2e-5):
            with torch.no_grad():
                parameter += step
            values.append(tuning().tuning.sum().item())
        with torch.no_grad():
            parameter += 1e-5
        assert slope.item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)
    assert Rebar(learn=False)(q, cost_of(q), None).tuning is None


def test_rebar_on_vq_is_rebar_on_its_code_logits():
    q = make("vq", (5,))
    codes = Categorical(q.logits.detach().requires_grad_())
    torch.manual_seed(3)
    on_vectors = Rebar()(q, interacting, None)
    torch.manual_seed(3)
    on_logits = Rebar()(codes, interacting, None)
    torch.testing.assert_close(on_vectors.tuning, on_logits.tuning, rtol=1e-12, atol=0)
    (slope,) = torch.autograd.grad(on_logits.loss.sum(), codes.params)
    (expected,) = torch.autograd.grad(q.logits, q.params, slope)
    torch.testing.assert_close(torch.autograd.grad(on_vectors.loss.sum(), q.params)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("estimator", "family"), EVERY, ids=NAMES)
def test_forward_is_pure(estimator, family):
    q, built = make(family, (5,)), estimator()
    before = {name: value.clone() for name, value in built.state_dict().items()}
    losses = []
    for _ in range(2):
        torch.manual_seed(3)
        losses.append(built(q, cost_of(q, estimator), None).loss)
    assert torch.equal(*losses)
    assert losses[0].shape == q.batch_shape
    assert all(torch.equal(before[name], value) for name, value in built.state_dict().items())


def draws_for(q):
    """The name of q's noise, and noise `[draw, K, ..., B, *]` for two draws of two samples."""
    noise = torch.rand(2, 2, *q.logits.shape, dtype=torch.float64)
    return ("uniform", noise) if isinstance(q, Bernoulli) else ("gumbel", -(-noise.log()).log())


@pytest.mark.parametrize(("estimator", "family"), EVERY, ids=NAMES)
def test_samples_are_averaged(estimator, family):
    q, each = make(family, (4,)), 2 if estimator is Disarm else 1
    (name, noise), cost = draws_for(q), cost_of(q, estimator)
    singles = [gradient(estimator(k=each), injected(q, **{name: list(noise[:, [i]])}), cost) for i in range(2)]
    both = gradient(estimator(k=2 * each), injected(q, **{name: list(noise)}), cost)
    torch.testing.assert_close(both, (singles[0] + singles[1]) / 2, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("estimator", "family"), EVERY, ids=NAMES)
def test_replicas_equal_a_loop_and_vmap(estimator, family):
    q, built = make(family, (3, 4)), estimator(k=4 if estimator is Disarm else 2)
    (name, noise), cost = draws_for(q), cost_of(q, estimator)

    def single(params, *draws):
        def loss(params):
            return built(injected(q.with_params(params), **{name: draws}), cost, None).loss.sum()

        return torch.func.grad(loss)(params)

    together, params = gradient(built, injected(q, **{name: list(noise)}), cost), q.params.detach()
    loop = torch.stack([single(params[r], *noise[:, :, r]) for r in range(3)])
    torch.testing.assert_close(together, loop, rtol=0, atol=1e-12)
    mapped = torch.func.vmap(single, in_dims=(0, 1, 1))(params, *noise)
    torch.testing.assert_close(mapped, loop, rtol=0, atol=1e-12)


def test_annealing():
    temperature = ExponentialAnnealing(2.0, rate=0.01, minimum=0.5, interval=10)
    expected = {0: 2.0, 9: 2.0, 10: 2 * math.exp(-0.1), 25: 2 * math.exp(-0.2), 1000: 0.5}
    for step in range(1001):
        if step in expected:
            assert float(temperature()) == pytest.approx(expected[step], rel=1e-6)
        temperature.update()
    constant = ExponentialAnnealing(0.1)
    constant.update()
    assert constant() == 0.1


@pytest.mark.parametrize(("estimator", "family"), [*RELAXED, (GumbelSoftmax, "vq")])
def test_update_anneals(estimator, family):
    q = make(family, (5,))
    annealed, constant = estimator(rate=0.1, minimum=0.2, interval=1), estimator(temperature=math.exp(-0.3))
    for _ in range(3):
        annealed.update(annealed(q, cost_of(q), None))
    torch.manual_seed(3)
    expected = gradient(constant, q, cost_of(q))
    torch.manual_seed(3)
    torch.testing.assert_close(gradient(annealed, q, cost_of(q)), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Disarm(k=3), "even k >= 2; got k=3"),
        (lambda: Rebar(k=0), "k >= 1; got k=0"),
        (lambda: Rebar(temperature=0), "temperature above 0; got temperature=0"),
        (lambda: GumbelSoftmax(temperature=-1.0), "temperature above 0; got temperature=-1.0"),
        (lambda: GumbelSoftmax(k=0), "k >= 1; got k=0"),
        (lambda: STGumbelSoftmax(temperature=0), "temperature above 0; got temperature=0"),
        (lambda: STGumbelSoftmax(k=0), "k >= 1; got k=0"),
        (lambda: StraightThrough(jacobian="tanh"), "probs, identity, clipped; got jacobian=tanh"),
        (lambda: StraightThrough(k=0), "k >= 1; got k=0"),
        (lambda: ExponentialAnnealing(1.0, rate=-1.0), "rate >= 0; got rate=-1.0"),
        (lambda: ExponentialAnnealing(1.0, rate=0.1, minimum=2.0), "at most 1.0, its start; got minimum=2.0"),
        (lambda: ExponentialAnnealing(1.0, interval=0), "interval >= 1 steps; got interval=0"),
    ],
)
def test_refused_arguments(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()


def test_clipping_is_for_bits():
    assert "set jacobian=probs or identity" in StraightThrough(jacobian="clipped").refuses(make("vq", (1,)))
    assert StraightThrough(jacobian="clipped").refuses(make("bernoulli", (1,))) is None
