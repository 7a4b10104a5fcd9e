"""The normal distribution in operations that ONNX has: of float64, onnxruntime computes no error function."""

import torch

# Hart (1968), as given by West (2005): Better approximations to cumulative normal functions. Wilmott.
_SHARE = (
    (
        *(3.52624965998911e-2, 0.700383064443688, 6.37396220353165, 33.912866078383),
        *(112.079291497871, 221.213596169931, 220.206867912376),
    ),
    (
        *(8.83883476483184e-2, 1.75566716318264, 16.064177579207, 86.7807322029461),
        *(296.564248779674, 637.333633378831, 793.826512519948, 440.413735824752),
    ),
)
_FAR = 7.07106781186547
# Wichura (1988), Algorithm AS 241: The percentage points of the normal distribution. Appl. Statist. 37.
_MIDDLE = (
    (
        *(2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4),
        *(1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    ),
    (
        *(5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4),
        *(5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
    ),
)
_TAILS = (
    (
        *(7.7454501427834140764e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1),
        *(1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0),
        *(4.63033784615654529590e0, 1.42343711074968357734e0),
    ),
    (
        *(1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2),
        *(1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0),
        *(2.05319162663775882187e0, 1.0),
    ),
)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: torch.Tensor) -> torch.Tensor:
    """Return the ratio of two polynomials, whose coefficients begin with the highest power."""
    above, below = (torch.zeros_like(x), torch.zeros_like(x))
    for coefficient in coefficients[0]:
        above = above * x + coefficient
    for coefficient in coefficients[1]:
        below = below * x + coefficient
    return above / below


def share(x: torch.Tensor) -> torch.Tensor:
    """Return the share of the standard normal distribution below values, to 1e-15.

    Parameters
    ----------
    x : tensor
        In float64; NaN stays.

    Returns
    -------
    share : tensor
        Beyond 7 standard deviations the one at 7, which differs by less than 1e-11.
    """
    size = x.abs().clamp(max=_FAR)
    beyond = (-size * size / 2).exp() * _ratio(_SHARE, size)
    return torch.where(x > 0, 1 - beyond, beyond)


def quantile(share: torch.Tensor) -> torch.Tensor:
    """Return the values that have shares of the standard normal distribution below them, to 1e-15.

    Parameters
    ----------
    share : tensor
        In float64, at least 2e-11 away from 0 and 1; NaN stays.

    Returns
    -------
    x : tensor
    """
    about = share - 0.5
    middle = about * _ratio(_MIDDLE, 0.180625 - about * about)
    # Of the nearer end: sqrt(-log) is at most 5 from 1.4e-11 on.
    end = torch.where(about > 0, 1 - share, share).clamp(1e-11, 0.5)
    tail = _ratio(_TAILS, (-end.log()).sqrt() - 1.6)
    return torch.where(about.abs() <= 0.425, middle, torch.where(about > 0, tail, -tail))
