"""Checks of what the harness does with an estimator: training, updates of its state, devices, vmap and compilation."""

import copy

import torch
from torch import Tensor

from bench.check.conduct import by_example, largest_difference
from bench.check.contents import Contents, surroundings, walk
from bench.check.noise import Tape
from bench.check.subject import Case, gradients, own_parameters
from bench.check.verdict import Verdict, demand, ok, skipped

UPDATES = 50


def training(case: Case) -> Verdict:
    """The estimator's own parameters learn from tuning alone and the model from the loss alone; there is a tuning
    exactly where there are own parameters."""
    made, leaves = case.trained(), case.leaves()
    tuned = own_parameters(made)
    estimate = case.estimate(made, leaves)
    if estimate.tuning is None or not tuned:
        demand(not tuned, "it has parameters of its own that require a gradient, and no tuning to train them")
        demand(estimate.tuning is None, "it returns a tuning and has no parameters of its own to train")
        return ok("0 own parameters")
    leaked = torch.autograd.grad(estimate.loss.sum(), tuned, retain_graph=True, allow_unused=True)
    largest = max((float(g.abs().max()) for g in leaked if g is not None), default=0.0)
    demand(largest == 0, "the loss has a gradient with respect to the estimator's own parameters", f"{largest:.1e}")
    model = [leaves.q.params, leaves.theta]
    estimate.loss.mean().backward(inputs=model, retain_graph=True)  # as bench.train does
    kept = Contents(walk([p.grad for p in model]))
    estimate.tuning.mean().backward(inputs=tuned)
    demand(not kept.changed(Contents(walk([p.grad for p in model]))), "tuning moves the model's gradient")
    named = {name: p.grad for name, p in made.named_parameters() if p.requires_grad}
    reached = {name: grad for name, grad in named.items() if grad is not None}
    demand(len(reached) == len(named), f"tuning does not reach {', '.join(sorted(named.keys() - reached.keys()))}")
    demand(all(bool(grad.isfinite().all()) for grad in reached.values()), "the gradient of tuning is not finite")
    demand(any(bool(grad.any()) for grad in reached.values()), "the gradient of tuning is zero")
    return ok(f"{sum(p.numel() for p in tuned)} own parameters")


def state(case: Case) -> Verdict:
    """update alone changes state: only buffers, without noise, and in the same way from the same estimate; the state
    dict holds all of the state."""
    made, leaves = case.trained(), case.leaves()
    around = Contents(surroundings(case.subject.cls))
    estimate = case.estimate(made, leaves)
    twin = copy.deepcopy(made)
    before = Contents(walk(made))
    stream = torch.get_rng_state()
    made.update(estimate)
    demand(torch.equal(stream, torch.get_rng_state()), "update draws random numbers")
    twin.update(estimate)
    after = Contents(walk(made))
    changed = before.changed(after)
    outside = [path for path in changed if "_buffers" not in path]
    demand(not outside, f"update moves {', '.join(outside[:3])}, which is not a buffer: a checkpoint would lose it")
    demand(not after.changed(Contents(walk(twin))), "two updates with the same estimate differ")
    demand(not any(b.requires_grad for b in made.buffers()), "update leaves a buffer that requires a gradient")
    moved = around.changed(Contents(surroundings(case.subject.cls)))
    demand(not moved, f"update changes {', '.join(moved[:3])}, outside the estimator")
    for _ in range(UPDATES):
        made.update(estimate)
    loaded = case.fresh()
    loaded.load_state_dict(made.state_dict())
    torch.manual_seed(6)
    kept = by_example(case.estimate(made, leaves), leaves, made)
    torch.manual_seed(6)
    apart = largest_difference(kept, by_example(case.estimate(loaded, leaves), leaves, loaded))
    demand(apart == 0, "loading its state dict does not give the same estimate", f"difference {apart:.1e}")
    return ok(f"{len(changed)} buffers move")


def device(case: Case) -> Verdict:
    """The estimate is on q's device."""
    if not torch.cuda.is_available():
        return skipped("This machine has no CUDA device.")
    problem = case.problem.to(torch.float64, "cuda")
    made = case.fresh().to("cuda")
    for name, value in case.estimate(made, problem)._asdict().items():
        demand(value is None or value.device.type == "cuda", f"{name} is on the CPU where q is on a CUDA device")
    return ok("cuda")


def vmap(case: Case) -> Verdict:
    """The estimator works under torch.func.vmap over seeds, each with noise of its own."""
    made, base = case.trained(), case.problem

    def loss(params: Tensor, theta: Tensor) -> Tensor:
        live = base._replace(q=base.q.with_params(params), theta=theta)
        return case.estimate(made, live).loss.sum()

    each = torch.func.grad(loss, argnums=(0, 1))
    seeds = [t.expand(4, *t.shape).clone() for t in (base.q.params, base.theta)]
    grads = torch.func.vmap(each, randomness="different")(*seeds)
    demand(all(bool(g.isfinite().all()) for g in grads), "a gradient under vmap is not finite")
    same = all(torch.equal(g[0], g[1]) for g in grads)
    with Tape() as tape:
        case.estimate(made, base)
    demand(not (same and tape.noise), "all seeds under vmap have the same noise")
    return ok("4 seeds")


def compiled(case: Case) -> Verdict:
    """torch.compile gives the same estimate on the same noise."""
    made, leaves = case.trained(), case.leaves()

    def call(params: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        live = leaves._replace(q=leaves.q.with_params(params), theta=theta)
        estimate = case.estimate(made, live)
        return estimate.loss, estimate.cost

    torch._dynamo.reset()
    results = []
    with torch._inductor.config.patch(fallback_random=True):
        for function in (call, torch.compile(call)):
            torch.manual_seed(9)
            loss, cost = function(leaves.q.params, leaves.theta)
            results.append([*gradients(loss, leaves), cost.detach()])
    apart = largest_difference(*results)
    demand(apart < 1e-8, "the compiled estimate differs", f"difference {apart:.1e}")
    return ok(f"difference {apart:.0e}")
