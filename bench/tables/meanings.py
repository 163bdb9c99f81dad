"""What the statistics of a measured gradient mean, with their units: columns of table `gradient` and of comparisons."""

MOMENTS = {
    "variance_noise": "sampling noise: trace of the gradient's covariance over draws, mean over probe batches (nats^2)",
    "variance_data": "minibatch noise: trace of the mean gradient's variance over batches; may be negative (nats^2)",
    "variance": "variance_noise + variance_data (nats^2)",
    "norm_sq": "squared norm of the mean gradient, less its noise, mean over probe batches; the deviation of the batch "
    "from all data is in it (nats^2)",
    "snr": "norm_sq / variance_noise",
    "bias_sq": "squared distance of the mean gradient from the reference, less the noise of both, mean over probe "
    "batches (nats^2)",
    "cosine": "cosine of the mean gradient with the reference, less the noise of both; may exceed 1",
    "mse": "bias_sq + variance_noise (nats^2)",
    "bias_sq_scaled": "bias_sq of the mean gradient scaled to the length of the reference, since Adam ignores length: "
    "2 reference_norm_sq (1 - cosine) (nats^2)",
    "variance_scaled": "variance_noise of the gradient scaled likewise: reference_norm_sq / snr (nats^2)",
}
OF_ALL_DATA = {
    "norm_sq_data": "squared norm of the gradient of all data: norm_sq - variance_data (nats^2)",
    "snr_data": "norm_sq_data / variance_noise",
    "bias_sq_data": "squared norm of the mean over probe batches of the bias, less the noise of its parts (nats^2)",
}
KURTOSIS = (
    "E d^4 / (E d^2)^2 of a draw's distance d from the mean gradient; variance_noise rests on draws / kurtosis draws, "
    "and its squared relative standard error is about (kurtosis - 1) / (batches draws)"
)
REFERENCE_ERROR_SQ = (
    "estimated squared error of quadrature, from the distance to that with half of the nodes; null elsewhere (nats^2)"
)
SNR_PARAMETERS = (
    "mean over the part's parameters of |mean| / standard deviation of the first probe batch's gradient over draws; "
    "parameters without noise are left out, and one without signal still has sqrt(2 / (pi draws))"
)
MOVING_AVERAGES = {
    "ema_variance": "mean over the part's parameters of the variance of a training step's gradient, minibatch noise "
    "included, by bias-corrected moving averages with decay 0.999 of g and g^2 along the training (nats^2)",
    "ema_variance_log": "natural logarithm of ema_variance",
    "ema_variance_sum": "ema_variance of the gradient summed over the batch: times batch_size^2 (nats^2)",
    "ema_variance_all": "ema_variance over the parameters of encoder and decoder together (nats^2)",
}
