"""Every amount is an integer of its smallest unit, and its type says which.

Rounding happens here and nowhere else: four named functions, all towards zero, because a
reduction is never overstated and the public purse never overpays.
"""

from typing import NewType

from kernel.errors import BrokenInvariant

MilliCoin = NewType("MilliCoin", int)
"""Thousandths of a carbon coin (碳币)."""
MilligramsCO2e = NewType("MilligramsCO2e", int)
NanogramsCO2e = NewType("NanogramsCO2e", int)
"""What arithmetic runs in before the one rounding to milligrams."""
Fen = NewType("Fen", int)
"""Hundredths of a yuan."""
Metres = NewType("Metres", int)
WattHours = NewType("WattHours", int)
Millilitres = NewType("Millilitres", int)
Grams = NewType("Grams", int)
Pieces = NewType("Pieces", int)
Kilojoules = NewType("Kilojoules", int)

INT64_MAX = 2**63 - 1
"""PostgreSQL's bigint and Polars' Int64 end here; Polars wraps silently, so inputs are bounded before."""
NANOGRAMS_PER_MILLIGRAM = 1_000_000


def floor_to_milligrams(nanograms: int) -> MilligramsCO2e:
    """Whole milligrams of CO2e in `nanograms`; the remainder is dropped. Negative input is a bug."""
    if nanograms < 0:
        raise BrokenInvariant(f"a reduction of {nanograms} ng is negative")
    return MilligramsCO2e(nanograms // NANOGRAMS_PER_MILLIGRAM)


def floor_to_milli_coins(milligrams: int, *, coins_milli: int, per_mg: int) -> MilliCoin:
    """Milli-coins for `milligrams` at a published rate of `coins_milli` for each `per_mg`; floor."""
    if milligrams < 0 or coins_milli < 0 or per_mg <= 0:
        raise BrokenInvariant(f"no coins for {milligrams} mg at {coins_milli} per {per_mg} mg")
    return MilliCoin(milligrams * coins_milli // per_mg)


def floor_to_share(milligrams: int, *, share_permille: int) -> MilligramsCO2e:
    """What `share_permille` thousandths of `milligrams` come to; floor."""
    if milligrams < 0 or not 0 < share_permille <= 1000:
        raise BrokenInvariant(f"no share of {share_permille} permille of {milligrams} mg")
    return MilligramsCO2e(milligrams * share_permille // 1000)


def floor_to_part(fen: int, *, part: int, whole: int) -> Fen:
    """What `part` of `whole` comes to of an amount of fen; floor."""
    if fen < 0 or part < 0 or whole <= 0:
        raise BrokenInvariant(f"no part {part} of {whole} of {fen} fen")
    return Fen(fen * part // whole)


def show_coins(amount: int) -> str:
    """Milli-coins as people read them: exact, at least two decimals (`12345` -> `12.345`)."""
    sign, whole, rest = ("-" if amount < 0 else ""), abs(amount) // 1000, abs(amount) % 1000
    decimals = f"{rest:03d}".removesuffix("0")
    return f"{sign}{whole}.{decimals}"


def show_grams(milligrams: int) -> str:
    """Milligrams as grams or kilograms, exact (`186800000` -> `186.8 kg`, `107600` -> `107.6 g`)."""
    size, unit = (1_000_000, "kg") if abs(milligrams) >= 1_000_000 else (1_000, "g")
    sign, whole, rest = ("-" if milligrams < 0 else ""), abs(milligrams) // size, abs(milligrams) % size
    decimals = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0")
    return f"{sign}{whole}{'.' + decimals if decimals else ''} {unit}"


def show_yuan(fen: int) -> str:
    """Fen as yuan with two decimals (`-705` -> `-7.05`)."""
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
