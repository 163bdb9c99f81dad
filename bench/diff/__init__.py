"""Two folders of results: which numbers of the same configuration and seed moved, and by how much."""
