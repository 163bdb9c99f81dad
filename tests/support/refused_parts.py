"""Arguments of `python -m bench` that are refused for the data, the model, the latents or the problem of one's own that
they bring, one line each. The YAML files are those of `bad_files.OPTIONS`."""

PARTS = """
    --config-dir own data=shell
    --config-dir own data=absent
    --config-dir own data=target
    --config-dir own data=noisy
    --config-dir own data=listed
    --config-dir own data=coins data.side=0
    --config-dir own data=moonless
    --config-dir own data=coins data.side=wide
    --config-dir own data=coins data.side=9007199254740993
    --config-dir own data=coins +data.sides=3
    --config-dir own data=coins +data.binarisation=halves
    --config-dir own data=coins +data.train_size=0
    --config-dir own data=coins +data.train_size=1000
    --config-dir own data=coins +data.dequantise=true
    --config-dir own model=coins
    --config-dir own model=fixed latent.dim=10
    --config-dir own model=fixed latent=gaussian
    --config-dir own model=fixed latent.layers=[3,3]
    --config-dir own model=bits latent=vq
    --config-dir own model=bits +model.shape=3
    --config-dir own latent=unsized
    --config-dir own latent=die latent.faces=six
    --config-dir own latent=die estimator=disarm
    --config-dir own latent=die model.task=structured
    --config-dir own latent=die +latent.family=vq
    --config-dir own problem=target
    --config-dir own problem=target ~model ~latent ~data objective.beta=1
    --config-dir own ~problem
    --config-dir clash
"""
