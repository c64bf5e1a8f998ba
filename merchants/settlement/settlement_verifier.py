"""Make a settlement's digest and every sum again from its bundle; this file needs nothing but Python 3.11.

    python settlement_verifier.py bundle.json

Prints what it found and exits 1 when anything differs. The lines claim redemptions, reversals, offline cases
and adjustments; fee and subsidy follow from them by the rule that stands in the bundle.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
POINTS = 10_000
USES = {"redemption": 1, "reversal": -1}
Extra = tuple[int, int, dict[str, int]]
"""To the merchant, to the operation centre, and by funder."""


def uuid_of(public: str) -> UUID:
    """The 128 bits behind a public id, such as `red_…`."""
    number = 0
    for character in public.partition("_")[2]:
        number = number << 5 | ALPHABET.index(character)
    return UUID(int=number)


def canonical(value: Any) -> bytes:
    """Type letter, length, bytes: so no two values share an encoding."""
    if isinstance(value, list | tuple):
        letter, data = b"l", b"".join(map(canonical, value))
    elif isinstance(value, UUID):
        letter, data = b"u", value.bytes
    elif isinstance(value, datetime):
        letter, data = b"t", value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
    elif isinstance(value, date):
        letter, data = b"d", value.isoformat().encode()
    elif value is None:
        letter, data = b"n", b""
    else:
        letter, data = (b"i" if isinstance(value, int) else b"s"), str(value).encode()
    return letter + len(data).to_bytes(4, "big") + data


def head_bytes(bundle: dict[str, Any]) -> bytes:
    """What the digest begins with."""
    ids = [uuid_of(bundle[name]) for name in ("settlement_id", "merchant_id")]
    days = [date.fromisoformat(bundle[name]) for name in ("first_day", "last_day")]
    return b"".join(map(canonical, ("settlement/1", *ids, *days, uuid_of(bundle["rule_id"]))))


def line_bytes(line: dict[str, Any]) -> bytes:
    """What a line adds to it."""
    fields = (
        "settlement-line/1",
        line["what"],
        uuid_of(line["id"]),
        uuid_of(line["store_id"]) if line["store_id"] else None,
        uuid_of(line["terminal_id"]) if line["terminal_id"] else None,
        date.fromisoformat(line["business_day"]),
        datetime.fromisoformat(line["happened_at"]),
        line["coin_milli"],
        line["payable_fen"],
        line["centre_fen"],
        sorted((uuid_of(share["funder_id"]), share["fen"]) for share in line["by_funder"]),
    )
    return b"".join(map(canonical, fields))


def place(line: dict[str, Any]) -> tuple[datetime, bytes, str]:
    """Where a line stands among the others."""
    return datetime.fromisoformat(line["happened_at"]), uuid_of(line["id"]).bytes, line["what"]


def owed_by(lines: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Fen by funder."""
    owed: dict[str, int] = {}
    for line in lines:
        for share in line["by_funder"]:
            owed[share["funder_id"]] = owed.get(share["funder_id"], 0) + share["fen"]
    return owed


def shares_of(points: int, each: int, cost: dict[str, int]) -> dict[str, int]:
    """What each funder bears of a fee or subsidy, floored by itself."""
    whole = sum(cost.values())
    if whole == 0:
        return {}
    parts = {name: fen * points // POINTS + each * fen // whole for name, fen in cost.items()}
    return {name: fen for name, fen in parts.items() if fen}


def fee_of(rule: dict[str, Any], uses: int, cost: dict[str, int]) -> Extra:
    """What the operation centre takes; a merchant pays at most what it gets."""
    whole, each = sum(cost.values()), uses * rule["fee_fen_each"]
    if rule["fee_bearer"] == "merchant":
        taken = min(whole * rule["fee_basis_points"] // POINTS + each, whole)
        return -taken, taken, {}
    shares = shares_of(rule["fee_basis_points"], each, cost)
    return 0, sum(shares.values()), shares


def subsidy_of(rule: dict[str, Any], uses: int, cost: dict[str, int]) -> Extra:
    """What the merchant gets on top."""
    whole, each = sum(cost.values()), uses * rule["subsidy_fen_each"]
    if rule["subsidy_bearer"] == "centre":
        given = whole * rule["subsidy_basis_points"] // POINTS + each
        return given, -given, {}
    shares = shares_of(rule["subsidy_basis_points"], each, cost)
    return sum(shares.values()), 0, shares


def faults(bundle: dict[str, Any]) -> list[str]:
    """Everything that does not hold, as sentences."""
    return [*_wrong_order(bundle), *_wrong_digest(bundle), *_wrong_sums(bundle), *_wrong_extras(bundle)]


def _wrong_digest(bundle: dict[str, Any]) -> Iterator[str]:
    sha256 = hashlib.sha256(head_bytes(bundle))
    for line in bundle["lines"]:
        sha256.update(line_bytes(line))
    if sha256.hexdigest() != bundle["digest"]:
        yield f"the digest is {sha256.hexdigest()} and was {bundle['digest']}"


def _wrong_order(bundle: dict[str, Any]) -> Iterator[str]:
    places = [place(line) for line in bundle["lines"]]
    if places != sorted(places):
        yield "the lines are not in their order"
    keys = {(line["what"], line["id"]) for line in bundle["lines"]}
    if len(keys) != len(places):
        yield "something is settled twice"
    for what, named in sorted(keys):
        if what == "reversal" and ("redemption", named) not in keys:
            yield f"{named} is reversed here and redeemed elsewhere"


def _wrong_sums(bundle: dict[str, Any]) -> Iterator[str]:
    lines = bundle["lines"]
    sums = (len(lines), sum(each["coin_milli"] for each in lines), sum(each["payable_fen"] for each in lines))
    told = (bundle["line_count"], bundle["coin_milli"], bundle["payable_fen"])
    by_funder = {share["funder_id"]: share["fen"] for share in bundle["by_funder"]}
    if sums != told or owed_by(lines) != by_funder:
        yield f"the lines come to {sums}, {owed_by(lines)}, and the figures are {told}, {by_funder}"
    for line in lines:
        if line["payable_fen"] + line["centre_fen"] != sum(share["fen"] for share in line["by_funder"]):
            yield f"{line['what']} {line['id']}: funders and centre do not give what the merchant gets"


def _wrong_extras(bundle: dict[str, Any]) -> Iterator[str]:
    stood = [line for line in bundle["lines"] if line["what"] in USES]
    uses, cost = sum(USES[line["what"]] for line in stood), owed_by(stood)
    for what, worked_out in (("fee", fee_of), ("subsidy", subsidy_of)):
        right = worked_out(bundle["rule"], uses, cost)
        told = [
            (line["payable_fen"], line["centre_fen"], owed_by([line]))
            for line in bundle["lines"]
            if line["what"] == what
        ]
        if told != ([right] if right[0] or right[1] else []):
            yield f"the {what} is {told}, and by the rule {right}"


def main(names: Sequence[str]) -> int:
    """Check each bundle that is named."""
    wrong = 0 if names else 1
    for name in names:
        bundle = json.loads(Path(name).read_text(encoding="utf-8"))
        found = faults(bundle)
        wrong += bool(found)
        said = "; ".join(found) if found else f"equal {bundle['digest']}"
        sys.stdout.write(f"{bundle['settlement_id']}: {said}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
