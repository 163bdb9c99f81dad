"""Flags of `python -m bench` that are refused, one line each."""

FLAGS = """
    --config-dir mine estimator=syntax
    --config-dir mine estimator=unknown
    --config-dir mine estimator=shell
    --config-dir mine estimator=nowhere
    --config-dir mine estimator=raising
    --config-dir mine estimator=unparsed
    --config-dir mine estimator=untargeted
    --config-dir mine estimator=empty
    --config-dir mine estimator=a_folder
    --config-dir mine latent=coloured
    --config-dir latin estimator=mine
    --config-dir same
    --config-dir nowhere
    --config-dir taken
    --config-name nope
    --experimental-rerun taken
    --nope
    --resolve
    --info nope
"""
