"""Arguments of `python -m bench` that are refused, one line each."""

RUNS = """
    estimator=rlo
    estimator=null
    estimator=[rloo,disarm]
    ~estimator
    latent=gausian
    latent.family=bernouli
    data=mnst
    experiment=nope
    trian.steps=3
    train.stepz=3
    batch_size=3
    +train.stepz=3
    +zzz=3
    +latent.codes=3
    ~latent.dim
    estimator.kk=3
    estimator.k=0
    estimator.k=2.5
    estimator.k=1000000000000000000000
    estimator.k=9007199254740991
    estimator.k=16777216 measure.batch_size=1000
    replicas=1000000000
    measure.draws=1000000000
    evaluate.prior_samples=1000000000000
    estimator._target_=os.system
    estimator=gumbel_softmax estimator.temperature=nan
    train.batch_size=1.5
    train.batch_size=5000
    train.lr=nan
    train.lr=inf
    train.betas=[0.9,1]
    train.optimiser=adma
    train.schedule=cosin
    train.nesterov=true
    train.optimiser=sgd train.momentum=0 train.nesterov=true
    train.warmup=1000
    train.clip_norm=0
    seed=1000000000000000000000
    seed=${seed}
    seed=${oc.env:NO_SUCH_VARIABLE}
    name=${oc.env:HOME}
    output=${oc.env:NO_SUCH_VARIABLE}
    --config-dir mine estimator=secret
    threads=100000
    engine=jit
    engine=graph device=cpu
    engine=compiled_graph device=cpu
    engine_fallback=compile
    problem=nope
    problem.k=3
    latent.dim=3 problem=gaussian_exp
    latent.dim=1000000000000
    estimator=disarm latent=gaussian
    model.task=structured
    estimator=maxrl
    problem=tokens estimator=maxrl objective.kl=sampled objective.beta=0.1
    problem=tokens estimator=maxrl objective.kl=k3_reward objective.beta=0.1
    problem=tokens estimator=disarm
    problem=tokens estimator=exact problem.length=8
    problem=tokens problem.length=9
    problem=tokens problem.length=17
    problem=tokens problem.vocabulary=1
    measure.at=[0.5,half]
    measure.precision=1e-6
    measure.precision=1e-200
    measure.precision=0.1 measure.draws=20000
    measure.reference=rlo
    data.train_size=2000
    name=null
    name=../elsewhere
    name=/elsewhere
    sweep.retry=always
    sweep.fail_fast=maybe
    estimator=rloo,[
    train.steps
    name=naïve
    estimator=rloo,disarm
    hydra.mode=nope
    name=20240101
    output=null
    -m train.stepz=3,4
    -m +train.stepz=1,2
    -m +estimater=rloo,disarm
    -m estimator=rlo,rloo
    -m estimator=rloo,rlo hydra.sweeper.max_batch_size=1
    -m latent=gausian,bernoulli hydra/launcher=pool
    -m seed=interval(0,1)
    -m name=20240101 seed=0,1
    -m name=null seed=0,1
    -m name=true seed=0,1
    -m name=[a,b] seed=0,1
    -m name={a:b} seed=0,1
    -m 'name=${seed}' seed=0,1
    -m ~name seed=0,1
    -m output=5 seed=0,1
    -m output=null seed=0,1
    -m output=[a] seed=0,1
    -m output='' seed=0,1
    seed=0,1 -m output=5
    hydra.launcher._target_=os.system
    -m hydra.launcher._target_=os.system seed=0,1
    -m hydra.launcher=null seed=0,1
    hydra.sweeper._target_=os.system
    -m hydra.sweeper._target_=bench.sweep.pool.Pool seed=0,1
    hydra.sweeper.max_batch_size=0
    +hydra.callbacks.mine._target_=os.system
    +hydra.callbacks.mine._target_=bench.sweep.mirrors.Nope
    +hydra.callbacks.mine=5
    hydra.callbacks=null
    sweep=null
    train=null train.steps=3
    latent=5
    -m latent=null seed=0,1
    -m sweep=null seed=0,1
    -m ~sweep seed=0,1
    -m sweep.fail_fast=maybe seed=0,1
    seeds=null
    measure=5
    output=dangling
    -m output=dangling/inside seed=0,1
    -m output=taken/inside seed=0,1
    hydra.job.chdir=true
    -m hydra.job.chdir=true seed=0,1
    estimator._target_=antigravity.geohash
    --config-dir mine estimator=unbound
    --config-dir mine estimator=surrogate
    hydra/launcher=pol
    hydra/callbacks=tensorbord
    -m hydra/launcher=pool hydra.launcher.n_jobs=0
    -m hydra/launcher=pool hydra.launcher.gpus=[0,0]
    output=taken
    data=mnist data.root=nothing data.download=false
    data=mnist data.root=data
    data=fashion_mnist data.root=data
    data=static_mnist data.root=data
    data=omniglot data.root=data
    data=cifar10 data.root=nothing data.download=false
    data=file
    data=file data.path=nowhere.npz
    data=file data.path=taken
    data=file data.path=nothing
    data=file data.path=data/own/nan.npy
    data=file data.path=data/own/outside.npy
    data=file data.path=data/own/sixteen.npy data.levels=15
    data=file data.path=data/own/reals.npy data.levels=15
    data=file data.path=data/own/empty.npy
    data=file data.path=data/own/one.npy
    data=file data.path=data/own/whole.npy
    data=file data.path=data/own/flat.npy
    data=file data.path=data/own/many.npy
    data=file data.path=data/own/objects.npy
    data=file data.path=data/own/unnamed.npz
    data=file data.path=data/own/unlike.npz
    data=file data.path=data/own/no_test.npz
    data=file data.path=data/own/torn.npz
    data=file data.path=data/own/code.pt
    data=file data.path=data/own/mixed
    data=file data.path=data/own/torn
    data=file data.path=data/own/good.npy data.test_size=0.01
    data=file data.path=data/own/good.npy data.digest=deadbeef
    data=file data.path=data/own/reals.npy data.dequantise=true model.likelihood=gaussian
    data=file data.path=data/own/reals.npy model.likelihood=categorical256 measure.batch_size=4 train.batch_size=4
    data.dequantise=true
    model.likelihood=categorical256
    model.likelihood=categorical256 data.binarisation=none
"""
