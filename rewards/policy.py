"""The published rules a voucher lives under, read once at exchange and frozen into it."""

from dataclasses import dataclass
from datetime import date

from kernel.call import Call
from kernel.publications.rules import grace, prepare_lock, reversal_window, spending_order


@dataclass(frozen=True, kw_only=True)
class VoucherPolicy:
    """Seconds a scan reserves it, seconds a redemption may be undone, days of grace, spending order."""

    lock_s: int
    reversal_window_s: int
    grace_days: int
    spending_order: tuple[str, ...]


def voucher_policy(call: Call, region_id: str, *, day: date) -> VoucherPolicy:
    """The rules of a day; refuses NoRuleInForce."""
    lock = prepare_lock(call, region_id, day=day)
    window = reversal_window(call, region_id, day=day)
    return VoucherPolicy(
        lock_s=lock.days * 86_400 + lock.seconds,
        reversal_window_s=window.days * 86_400 + window.seconds,
        grace_days=grace(call, region_id, day=day).days,
        spending_order=spending_order(call, region_id, day=day),
    )
