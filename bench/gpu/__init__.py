"""All measurements that need a GPU, run one after the other: `python -m bench.gpu`."""
