"""Writes values of the elementary functions in double precision, computed with 60 digits.

    python3 reference.py [POINTS] > reference.txt

Each line is a function, its one or two arguments, and its value as the sum of a double and a rest: all
as bits in base 16. POINTS is the number of random arguments for each function and range (default 12).
"""

import math
import random
import struct
import sys

from mpmath import mp, mpf
import mpmath as m

mp.dps = 60
random.seed(1)
POINTS = int(sys.argv[1]) if len(sys.argv) > 1 else 12
TINY, HUGE = 5e-324, 1.7976931348623157e308


def bits(x):
    return "%016x" % struct.unpack("Q", struct.pack("d", x))[0]


def double(v):
    """The double next to v (which mpmath rounds wrongly where it is subnormal)."""
    if v == 0 or m.isinf(v):
        return float(v)
    e = m.floor(m.log(abs(v), 2))
    unit = mpf(2) ** (max(e, -1022) - 52)
    q = v / unit
    n = m.floor(q)
    if q - n > 0.5 or (q - n == 0.5 and n % 2 == 1):
        n += 1
    v = n * unit
    if abs(v) >= mpf(2) ** 1024:
        return float("inf") if v > 0 else -float("inf")
    return math.copysign(float(v), m.sign(q))


def emit(name, arguments, value):
    high = double(value)
    low = 0.0 if high in (float("inf"), -float("inf")) else float(value - mpf(high))
    print(name, *[bits(a) for a in arguments], bits(high), bits(low))


def spread(low, high):
    """Random numbers with random exponents."""
    a, b = math.log(low), math.log(high)
    return lambda: math.exp(random.uniform(a, min(b, 709.7))) or low


def even(low, high):
    return lambda: random.uniform(low, high)


def signed(f):
    return lambda: random.choice((-1, 1)) * f()


def near(*centres):
    """Numbers a few or many units beside a centre."""

    def draw():
        c = random.choice(centres)
        return c * (1 + random.choice((-1, 1)) * 2.0 ** random.uniform(-52, -8))

    return draw


def multiples(step):
    """The doubles next to random multiples of a constant."""
    return lambda: float(random.choice((-1, 1)) * random.randint(1, 500000) * step)


small = signed(spread(TINY, 1.0))
half_ln2 = [float(m.log(2) * (k + mpf(1) / 2)) for k in range(-4, 5)]
UNARY = {
    "exp": (m.exp, [even(-746, 710), even(-2, 2), small, near(709.78, -745.1, -708.4), near(*half_ln2)]),
    "exp2": (lambda x: mpf(2) ** x, [even(-1076, 1024), even(-2, 2), small, near(0.5, 1.5, -0.5, -1074.5)]),
    "exp_m1": (m.expm1, [even(-40, 710), even(-2, 2), small, near(709.78), near(*half_ln2)]),
    "ln": (m.log, [spread(TINY, HUGE), even(0.5, 2), near(1.0, 0.70710678, 1.41421356)]),
    "ln_1p": (m.log1p, [spread(TINY, HUGE), even(-1, 2), small, near(-1.0, 0.41421356, -0.29289322)]),
    "log2": (lambda x: m.log(x) / m.log(2), [spread(TINY, HUGE), even(0.5, 2), near(1.0, 0.70710678, 1.41421356)]),
    "log10": (m.log10, [spread(TINY, HUGE), even(0.5, 2), near(1.0, 0.70710678, 1.41421356)]),
    "sin": (m.sin, [even(-7, 7), small, multiples(m.pi / 2), even(-1e6, 1e6), signed(spread(1e6, HUGE))]),
    "cos": (m.cos, [even(-7, 7), small, multiples(m.pi / 2), even(-1e6, 1e6), signed(spread(1e6, HUGE))]),
    "tan": (m.tan, [even(-7, 7), small, multiples(m.pi / 4), even(-1e6, 1e6), signed(spread(1e6, HUGE))]),
    "asin": (m.asin, [even(-1, 1), small, lambda: 1 - 2.0 ** random.uniform(-53, -1), near(0.5, -0.5)]),
    "acos": (m.acos, [even(-1, 1), small, lambda: 1 - 2.0 ** random.uniform(-53, -1), near(0.5, -0.5)]),
    "atan": (m.atan, [even(-4, 4), signed(spread(TINY, HUGE)), near(0.41421356, 2.41421356, 1.0)]),
    "sinh": (m.sinh, [even(-711, 711), even(-4, 4), small, near(1.0, 710.47)]),
    "cosh": (m.cosh, [even(-711, 711), even(-4, 4), small, near(1.0, 710.47)]),
    "tanh": (m.tanh, [even(-22, 22), even(-2, 2), small, near(0.6)]),
    "asinh": (m.asinh, [signed(spread(TINY, HUGE)), even(-4, 4), near(0.55, 1e9)]),
    "acosh": (m.acosh, [spread(1, HUGE), even(1, 4), lambda: 1 + 2.0 ** random.uniform(-52, 0), near(1e9)]),
    "atanh": (m.atanh, [even(-1, 1), small, lambda: 1 - 2.0 ** random.uniform(-53, -1), near(0.2, 0.33333333)]),
    "sigmoid": (lambda x: 1 / (1 + m.exp(-x)), [even(-746, 60), even(-8, 8), small, near(*half_ln2)]),
    "softplus": (lambda x: m.log1p(m.exp(x)), [even(-746, 60), even(-8, 8), small, near(*half_ln2)]),
    "erf": (m.erf, [even(-6.5, 6.5), even(-1.5, 1.5), small, near(1.0)]),
    "erfc": (m.erfc, [even(-6.5, 27.3), even(-1.5, 4), small, near(0.4375, 26.5)]),
    "cbrt": (lambda x: m.sign(x) * m.cbrt(abs(x)), [signed(spread(TINY, HUGE)), even(0.5, 9)]),
}


def power(x, y):
    return mpf(x) ** mpf(y)


def powers():
    """A base, and an exponent that leads anywhere from underflow to overflow."""
    x = random.choice((spread(TINY, HUGE), even(0.5, 2), near(1.0)))()
    if x <= 0 or x == 1:
        return 2.0, 0.5
    return x, float(random.uniform(-746, 710) / m.log(x))


exponents = (2.0, 3.0, -1.0, 0.5, -2.5, 7.0)
BINARY = {
    "powf": (power, [powers, lambda: (-even(0.1, 9)(), float(random.randint(-40, 40))),
                     lambda: (spread(1e-20, 1e20)(), random.choice(exponents))]),
    "atan2": (lambda y, x: m.atan2(mpf(y), mpf(x)), [
        lambda: (even(-2, 2)(), even(-2, 2)()),
        lambda: (signed(spread(1e-40, 1e40))(), signed(spread(1e-40, 1e40))()),
        lambda: (signed(spread(TINY, HUGE))(), signed(spread(TINY, HUGE))())]),
    "hypot": (lambda x, y: m.sqrt(mpf(x) ** 2 + mpf(y) ** 2), [
        lambda: (even(-2, 2)(), even(-2, 2)()), lambda: (spread(TINY, 1e-300)(), spread(TINY, 1e-300)()),
        lambda: (spread(1e140, HUGE)(), spread(1e140, HUGE)())]),
}

for name, (function, draws) in UNARY.items():
    for draw in draws:
        for _ in range(POINTS):
            x = draw()
            # Beside a zero of the function (1 + x or e^x - 1) the precision must not run out.
            mp.dps = 400 if abs(x) < 1e-20 or (name in ("sin", "cos", "tan") and abs(x) > 1e6) else 60
            try:
                emit(name, [x], function(mpf(x)))
            except (ValueError, TypeError, ZeroDivisionError):
                pass  # Outside the domain.
mp.dps = 60
for name, (function, draws) in BINARY.items():
    for draw in draws:
        for _ in range(2 * POINTS):
            x, y = draw()
            emit(name, [x, y], function(x, y))
