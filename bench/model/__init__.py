"""The variational autoencoder, its codebook, and the objective that is estimated."""
