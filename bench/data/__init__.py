"""The images: read, split, binarised, and served as batches."""
