"""What the ledger says no to. The posting functions raise an SQLSTATE; here it becomes a refusal."""

from sqlalchemy.exc import DBAPIError

from kernel.database import sql_state
from kernel.errors import Kind, Refusal


class NotEnough(Refusal):
    """There is not enough available on the account."""

    kind = Kind.CONFLICT
    code = "balance_insufficient"
    title_zh = "可用余额不足"


class AccountFrozen(Refusal):
    """The account is frozen; nothing may leave it now."""

    kind = Kind.CONFLICT
    title_zh = "账户已冻结"


class ContentDiffers(Refusal):
    """This reference was posted before with other content."""

    kind = Kind.CONFLICT
    title_zh = "同一业务编号已入账且内容不同"


class HoldEnded(Refusal):
    """These held coins were already spent or released."""

    kind = Kind.CONFLICT
    title_zh = "该笔冻结碳币已使用或已释放"


class AlreadyReversed(Refusal):
    """This posting was already reversed."""

    kind = Kind.CONFLICT
    title_zh = "该笔交易已冲正"


class AccountUnknown(Refusal):
    """No such account stands in the ledger."""

    kind = Kind.NOT_FOUND
    title_zh = "账户不存在"


_BY_STATE: dict[str, type[Refusal]] = {
    "TP001": NotEnough,
    "TP002": AccountFrozen,
    "TP003": ContentDiffers,
    "TP004": HoldEnded,
    "TP005": AlreadyReversed,
    "TP006": AccountUnknown,
}


def refusal_behind(error: DBAPIError) -> Refusal | None:
    """The refusal a posting function raised, or None when the error is something else."""
    found = _BY_STATE.get(sql_state(error))
    return found() if found else None
