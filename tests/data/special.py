"""Writes special.txt: special functions at doubles, to 20 digits, by mpmath (1.3 or later)."""

import random

from mpmath import mp, mpf, beta, digamma, erfinv, gamma, log, loggamma, mpmathify, ncdf, npdf, nstr, psi, re, sinc, pi, exp, sqrt, findroot, fabs, sign

mp.dps = 60
random.seed(7)


def uniform(low, high, n):
    return [random.uniform(low, high) for _ in range(n)]


def spread(low, high, n):
    return [2.0 ** random.uniform(low, high) for _ in range(n)]


def quantile(p):
    p = mpf(p)
    small = min(p, 1 - p)
    x = -sqrt(-2 * log(small)) + mpf("0.3") if small < mpf("0.4") else (small - mpf("0.5")) * sqrt(2 * pi)
    for _ in range(200):
        step = (ncdf(x) - small) / npdf(x)
        x -= step
        if fabs(step) < mpf(10) ** -50 * max(1, fabs(x)):
            break
    return x if p <= mpf("0.5") else -x


def ln_beta(a, b):
    return re(loggamma(a) + loggamma(b) - loggamma(a + b))


one = {
    "rsqrt": (lambda x: 1 / sqrt(x), spread(-300, 300, 40)),
    "sinc": (lambda x: sinc(pi * x), uniform(-4, 4, 60) + spread(-60, 0, 20) + uniform(-1000, 1000, 10)),
    "erfinv": (erfinv, uniform(-1, 1, 60) + spread(-60, -1, 20) + [1 - 2.0**-k for k in range(2, 53, 3)]),
    "norm_pdf": (npdf, uniform(-5, 5, 40) + uniform(-37, 37, 40)),
    "norm_cdf": (ncdf, uniform(-5, 5, 40) + uniform(-37, 8, 40)),
    "norm_quantile": (quantile, uniform(0, 1, 60) + spread(-1000, -1, 40) + [1 - 2.0**-k for k in range(2, 53, 5)]),
    "gamma": (gamma, uniform(0, 3, 60) + uniform(0, 30, 60) + uniform(30, 171, 40) + uniform(-20, 0, 60) + uniform(-170, -20, 40) + spread(-300, 0, 20)),
    "ln_gamma": (
        lambda x: log(fabs(gamma(x))) if x < 1e4 else re(loggamma(x)),
        uniform(0, 3, 60) + uniform(0.9, 1.1, 20) + uniform(1.9, 2.1, 20) + uniform(0, 30, 60) + uniform(-30, 0, 60) + spread(5, 900, 40) + spread(-900, 0, 20),
    ),
    "digamma": (digamma, uniform(0, 3, 60) + uniform(0, 30, 60) + uniform(-30, 0, 60) + spread(5, 300, 30) + spread(-300, 0, 20)),
}
for n in [1, 2, 3, 5, 10]:
    points = uniform(0, 3, 20) + uniform(0, 30, 20) + uniform(-8, 0, 20) + spread(5, 30, 10) + spread(-20, 0, 10)
    one[f"polygamma{n}"] = (lambda x, n=n: psi(n, x), points)
two = {
    "beta": (beta, [(a, b) for a, b in zip(spread(-6, 3, 60), spread(-6, 3, 60))] + list(zip(spread(-3, 9, 40), spread(-3, 6, 40)))),
    "ln_beta": (
        ln_beta,
        list(zip(spread(-6, 3, 60), spread(-6, 3, 60)))
        + list(zip(spread(-6, 3, 40), spread(3, 200, 40)))
        + list(zip(spread(3, 60, 60), spread(3, 60, 60))),
    ),
    "xlogy": (lambda x, y: x * log(y), list(zip(uniform(-3, 3, 30), spread(-100, 100, 30)))),
    "logaddexp": (lambda x, y: log(exp(x) + exp(y)), list(zip(uniform(-30, 30, 40), uniform(-30, 30, 40)))),
}

with open("special.txt", "w") as file:
    for name, (f, points) in one.items():
        for x in points:
            file.write(f"{name} {x!r} {nstr(f(mpf(x)), 20, min_fixed=0, max_fixed=0)}\n")
    for name, (f, points) in two.items():
        # Wide apart arguments cancel many digits.
        for x, y in points:
            mp.dps = 200 if name == "ln_beta" else 60
            file.write(f"{name} {x!r} {y!r} {nstr(f(mpf(x), mpf(y)), 20, min_fixed=0, max_fixed=0)}\n")
