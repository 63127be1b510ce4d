"""Names of the 57 published features, in the order of the published table."""

_SUMMARISED = (
    "chroma_stft",
    "rms",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
    "harmony",
    "perceptr",
)
_N_MFCC = 20

FEATURES: tuple[str, ...] = (
    *(f"{name}_{statistic}" for name in _SUMMARISED for statistic in ("mean", "var")),
    "tempo",
    *(f"mfcc{number}_{statistic}" for number in range(1, _N_MFCC + 1) for statistic in ("mean", "var")),
)
"""Mean and variance over frames of each descriptor, and the tempo in beats per minute."""
