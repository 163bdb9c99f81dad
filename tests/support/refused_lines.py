"""Command lines that are refused: the arguments of each command, one line each."""

from tests.support.refused_flags import FLAGS
from tests.support.refused_layers import LAYERS
from tests.support.refused_parts import PARTS
from tests.support.refused_runs import RUNS
from tests.support.refused_sequences import SEQUENCES

LINES = {
    "bench": RUNS.rstrip() + FLAGS.rstrip() + LAYERS.rstrip() + SEQUENCES.rstrip() + PARTS,
    "bench.probe": """
        probe.stepz=3
        probe.at=[]
        probe.at=[2]
        -m train.stepz=3,4
        probe.tuning_steps=-1
        probe.estimators=[]
        probe.estimators=[rlo]
        'probe.estimators=["rloo q=3"]'
        probe.checkpoint=nowhere
        probe.checkpoint=nothing
        probe.checkpoint=models/truncated.pt
        probe.checkpoint=models/text.pt
        probe.checkpoint=models/foreign.pt
        probe.checkpoint=models/code.pt
        probe.checkpoint=models/another.pt
        train.lr=fast
        replicas=2
        output=taken
    """,
    "bench.tune": """
        budget=0
        budget=65
        budget=many
        budget=1,2
        tune.nope=3
        tune=nope
        tune.lr=[1e-2,1e-3]
        tune.split=test
        tune.halving=[0.5,0.2]
        tune.fresh=0
        tune.points.k=[0.5]
        train.lr=1e-3
        seeds.model=3
        replicas=2
        hydra/sweeper=basic
        data.train_size=1500
        problem=gaussian_exp estimator=reparam
        estimator=rlo
        output=taken
    """,
    "bench.report": """

        nowhere
        taken
        nothing
        runs/half
        runs/swapped
        runs/foreign
        runs/missing
        runs/a_folder
        runs/schema
        runs/empty_marker
        runs/latin_marker
        runs/short_marker
        runs/good --families bernouli
        runs/good --only nope
        runs/good --baseline nobody
        runs/good --out taken
        runs/good --nope
    """,
    "bench.check": """
        rlo
        rloo --family bernouli
        rloo --workers 0
        --nope
    """,
    "bench.published": """
        mupropp
        train.steps=3
        reinmax_8x4 train.lr=1e-3
        reinmax_8x4 estimator=rloo
        reinmax_8x4 --short seed=7
        polynomial_programming --jobs 0
        polynomial_programming --jobs many
        --page taken/page.md
        --short --time
    """,
    "bench.gpu": """
        --device tpu
        --device cpu --seconds 0
        --device cpu --only tests
        --device cpu --out taken
        --only draws
    """,
    "bench.diff.command": """
        taken
        nothing nowhere
        nothing nothing
        nothing nothing --only times
    """,
    "bench.list": """
        rloo
        --markdwn
        --kind layers
        --kind data --markdown
    """,
    "bench.speed.command": """
        --threads 0
        --threads two
        --draws 1
        --device tpu
        --out taken
    """,
    "bench.status": """

        nowhere
        taken
        nothing
    """,
}
