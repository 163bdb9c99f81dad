"""Arguments of `python -m bench` about sequences, drawn images and convolutions that are refused, one line each."""

SEQUENCES = """
    model=rssm
    model=rssm latent=dreamer model.steps=7
    model=rssm latent=dreamer model.arch=conv
    model=rssm latent=dreamer model.prior=fixed
    model=rssm latent=dreamer latent.layers=[2,2]
    model=rssm latent=dreamer model.balance=[1.0]
    model=rssm latent=dreamer model.unimix=1
    model=rssm latent=dreamer objective.kl=k2_loss
    model=rssm latent=dreamer objective.kl=sampled
    model=rssm latent=dreamer objective.kl=sampled model.balance=[1,1] estimator=vimco
    model=rssm latent=dreamer estimator=exact
    model=rssm latent=dreamer data=balls estimator=rebar
    model=rssm model.unimix=0 latent=vq
    model.state=3
    model=conv model.kernels=[3]
    model=conv model.kernels=[9,9] model.strides=[1,1]
    data.frames=3
    data=balls data.examples=0
    data=balls data.size=3
    data=pusher data.objects=2
    data=balls data.draw_seed=5000000000
    data=balls train.batch_size=3000
"""
