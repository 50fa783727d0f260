from collections.abc import Sequence

from numpy import ufunc

TABLE: dict[str, ufunc]
exp: ufunc
expm1: ufunc
exprel: ufunc
sigmoid: ufunc
tanh: ufunc
log: ufunc
log1p: ufunc
sin: ufunc
cos: ufunc
round: ufunc
pow: ufunc
rand: ufunc
randn: ufunc
poisson: ufunc

def philox(counter: Sequence[int], key: int) -> tuple[int, int, int, int]: ...
