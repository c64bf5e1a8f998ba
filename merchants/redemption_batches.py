"""Up to ten codes at one till, all or nothing: one transaction, and the first code at fault is named.

Vouchers are locked citizen by citizen in the citizens' order, a citizen's vouchers before the coins, as what
tills hand in is. All are judged before the answer says which is the first at fault in the order of the body.
"""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from kernel.call import Call
from kernel.errors import Refusal
from merchants.asks.asking import require_unasked
from merchants.redemption import Redeemed, honour
from merchants.scanning import at_till, limit_guesses, refusals_noted, require_fit, require_standing
from merchants.terminals import KnownTerminal, terminal_at_door
from rewards.presented_codes import Shown, is_alias
from rewards.presented_together import Named, at_place, named_vouchers, taken_as_named

MOST_CODES = 10


def redeem_together(call: Call, codes: Sequence[str]) -> list[Redeemed]:
    """Use the vouchers that all these codes show at the calling till; in the order of the codes.

    Refuses, pointing at the first code at fault, in this order: `TooManyWrongNumbers`, what `named_vouchers`
    refuses of any; then of the vouchers what `taken_as_named`, `require_standing` and `require_fit` refuse,
    `OwnerAskedFirst`; `AccountFrozen`.
    """
    terminal = terminal_at_door(call)
    with refusals_noted(call, terminal):
        if any(is_alias(code) for code in codes):
            limit_guesses(call, terminal)
        named = named_vouchers(call, codes, scope_no=terminal.scope_no)
    of_citizens: dict[UUID, list[Named]] = defaultdict(list)
    for each in named:
        of_citizens[each.key.holder_id].append(each)
    refused: dict[int, tuple[Refusal, Named]] = {}
    done: dict[int, Redeemed] = {}
    for _, of_one in sorted(of_citizens.items()):
        vouchers = _take(call, terminal, of_one, refused)
        if refused:
            continue  # nothing will stand: the others are judged, so that the first at fault is named
        for place, voucher in vouchers:
            with at_place(place):
                done[place] = honour(call, terminal, voucher)
    if refused:
        refusal, first = refused[min(refused)]
        with refusals_noted(call, terminal) as seen:
            seen.append(first.key.voucher_id)
            raise refusal
    return [done[place] for place in sorted(done)]


def _take(
    call: Call, terminal: KnownTerminal, of_one: list[Named], refused: dict[int, tuple[Refusal, Named]]
) -> list[tuple[int, Shown]]:
    """Lock one citizen's vouchers in their order and judge each; what is at fault goes to `refused`."""
    fit = []
    for each in sorted(of_one, key=lambda one: one.key.voucher_id):
        try:
            with at_place(each.place):
                voucher = taken_as_named(call, each, scope_no=terminal.scope_no, till=at_till(terminal))
                require_standing(voucher)
                require_fit(call, terminal, voucher)
                require_unasked(voucher)
        except Refusal as refusal:
            refused[each.place] = (refusal, each)
        else:
            fit.append((each.place, voucher))
    return fit
