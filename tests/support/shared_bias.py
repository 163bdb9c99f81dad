"""The intervals of bias in a folder of `results/`, of the options that call themselves unbiased."""

from tests.support import queries


def intervals(folder: str) -> tuple[int, int, int, int]:
    """How many 95 % intervals of `bias_sq` there are, of how many pairs of option and family; above 0, and below."""
    pairs = queries.frame(folder)
    pairs = pairs[pairs.unbiased.eq(True) & (pairs.label != "exact")][["family", "label"]].drop_duplicates()
    rows = queries.frame(f"{folder}:gradient").merge(pairs, on=["family", "label"])
    rows = rows[rows.part.isin(["latent", "encoder", "decoder"]) & (rows.bias_sq_se > 0)]
    beyond = rows.bias_sq / rows.bias_sq_se
    options = len(rows[["family", "label"]].drop_duplicates())
    return len(rows), options, int((beyond > 1.96).sum()), int((beyond < -1.96).sum())
