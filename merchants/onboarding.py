"""Taking in a merchant and its stores; the ledger accounts it is paid on stand from the first moment."""

from uuid import UUID

from sqlalchemy import text

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import new_id, public_id
from ledger.accounts import open_account
from ledger.chart import Kind, Unit
from merchants.tables import Merchant, Store

MERCHANT, STORE = "mer", "sto"


def add_merchant(call: Call, *, name_zh: str, name_en: str) -> UUID:
    """Enter a merchant with its coin and yuan accounts; returns its id."""
    merchant = new_id()
    call.db.add(
        Merchant(id=merchant, region_id=call.region, name_zh=name_zh, name_en=name_en, created_at=call.now)
    )
    for unit in (Unit.COIN, Unit.CNY):
        open_account(call, merchant, kind=Kind.MERCHANT, unit=unit, region_id=call.region)
    audit(call, "merchant.added", subject=public_id(MERCHANT, merchant))
    return merchant


def add_store(call: Call, merchant_id: UUID, *, name_zh: str, name_en: str) -> Store:
    """Enter a store with the next scope number; refuses `NotFound`."""
    known_merchant(call, merchant_id)
    store = Store(
        id=new_id(),
        region_id=call.region,
        merchant_id=merchant_id,
        scope_no=call.db.execute(_NEXT_SCOPE).scalar_one(),
        name_zh=name_zh,
        name_en=name_en,
        created_at=call.now,
    )
    call.db.add(store)
    call.db.flush()  # a terminal of this store may follow in the same unit of work
    audit(call, "store.added", subject=public_id(STORE, store.id), scope_no=store.scope_no)
    return store


def known_merchant(call: Call, merchant_id: UUID) -> Merchant:
    """The merchant, if it is of the caller's region; refuses `NotFound`."""
    merchant = call.db.get(Merchant, merchant_id)
    if merchant is None or merchant.region_id != call.region:
        raise NotFound("no such merchant")
    return merchant


_NEXT_SCOPE = text("SELECT nextval('store_scope_no')")
