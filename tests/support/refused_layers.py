"""Arguments of `python -m bench` about layers, stages and experts that are refused, one line each."""

LAYERS = """
    latent.layers=[200,200]
    latent.layers=[]
    latent=vq +latent.layers=[20,20]
    latent.layers=[20,{family:vq,dim:8}]
    latent.layers=[20,{dim:8}]
    latent.layers=[20,{family:categorical,dim:8}]
    latent.layers=[20,{family:gaussian,dim:8,categories:3}]
    latent.layers=[20,{family:gaussian,dim:0}]
    latent.layers=[{family:gaussian,dim:8},20]
    latent.layers=[20,{family:categorical,dim:8,categories:4}] objective.kl=sampled estimator=disarm
    latent.layers=[2,{family:gaussian,dim:2}] objective.kl=sampled estimator=exact
    latent.layers=[200,200] objective.kl=sampled estimator=vimco
    latent.layers=[200,200] objective.kl=sampled estimator=exact
    latent=gaussian latent.layers=[2,2] objective.kl=sampled estimator=exact
    latent.layers=[2,2] objective.kl=sampled estimator=spsa
    latent=vq latent.stages=2 estimator=evolution
    latent=vq latent.stages=2 objective.kl=k1_loss
    latent=vq latent.stages=2 objective.kl=sampled estimator=vimco
    latent=vq_small latent.stages=2 estimator=exact
    latent=fsq latent.stages=2
    latent=vq latent.stages=0
    latent=vq model.task=structured objective.beta=0
    latent=categorical model.decoder=experts model.task=structured objective.beta=0
    latent=categorical latent.dim=1 model.decoder=experts
    latent=categorical latent.dim=1 model.decoder=experts model.task=structured model.arch=conv objective.beta=0
"""
