"""Gradient draws and their statistics: from `draws` over `tally`, `parts` and `moments` to the rows of a table."""
