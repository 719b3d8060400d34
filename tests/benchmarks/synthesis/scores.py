"""How far pictures of a unit can be believed, in numbers that need no eyes."""

import numpy as np

STRONG = 0.99
"""Quantile of natural activations that a picture should exceed."""

LEAST_FREQUENCY = 2
"""In cycles per picture, of the spectrum's slope: below it there is one picture's composition."""


def percentiles(values, natural):
    """Part of the natural activations that each value exceeds, in [0, 100]."""
    return 100 * (np.asarray(natural)[None] < np.asarray(values)[:, None]).mean(axis=1)


def strong(values, natural):
    """Which values exceed the 99th percentile of the natural ones, interpolated linearly."""
    return np.asarray(values) > np.quantile(natural, STRONG)


def directions(codes):
    """Codes scaled to length 1: those of pictures are longer, as they excite a network more."""
    return codes / np.linalg.norm(codes.astype(float), axis=1, keepdims=True)


def nearest(codes, centroids):
    """The facet whose centroid each code, scaled to length 1, is nearest to."""
    distances = np.linalg.norm(directions(codes)[:, None] - centroids[None], axis=2)
    return distances.argmin(axis=1)


def returned(codes, centroids):
    """Which pictures, encoded, come back to the facet of their place in the batch."""
    return nearest(codes, centroids) == np.arange(len(codes)) % len(centroids)


def slopes(pictures):
    """The exponent b of each picture's power spectrum, falling as 1 / frequency ** b.

    Least squares in logarithms over the mean power at whole frequencies from 2 cycles per picture
    to half the side, of the mean of the channels under a Hann window. Natural images have about 2;
    noise has 0, and a picture with a grid or with grain has less than those it is made after.

    Args:
        pictures: Square, [picture, channel, height, width].
    """
    side = pictures.shape[-1]
    grey = pictures.astype(float).mean(axis=1)
    window = np.hanning(side + 2)[1:-1]
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window
    power = np.abs(np.fft.fft2(grey)) ** 2
    frequencies = side * np.fft.fftfreq(side)
    rings = np.round(np.hypot(frequencies[:, None], frequencies)).astype(int)
    chosen = np.arange(LEAST_FREQUENCY, side // 2)
    means = np.stack([power[:, rings == ring].mean(axis=1) for ring in chosen], axis=1)
    heights = np.log(np.maximum(means, np.finfo(float).tiny))
    places = np.log(chosen) - np.log(chosen).mean()
    return -(heights @ places) / (places @ places)
