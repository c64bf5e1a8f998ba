"""What clerks, PINs and shifts say no to."""

from kernel.errors import Kind, Refusal


class PinTrivial(Refusal):
    """A PIN is six digits that nobody guesses first: no row, no pattern, not all alike."""

    title_zh = "口令须为六位数字,且不能是连号、重复或常见组合"


class ClerkNumberTaken(Refusal):
    """This merchant has, or had, a clerk of this number."""

    kind = Kind.CONFLICT
    title_zh = "该店员编号已使用过"


class ClerkDismissed(Refusal):
    """This clerk works here no longer."""

    kind = Kind.CONFLICT
    title_zh = "该店员已离职"


class PinWrong(Refusal):
    """The number and the PIN do not belong together here."""

    kind = Kind.UNAUTHENTICATED
    title_zh = "店员编号或口令错误"


class TooManyPins(Refusal):
    """Too many PINs were tried for this clerk; wait as long as Retry-After says."""

    kind = Kind.TOO_MANY
    title_zh = "口令输错次数过多,请稍后再试"


class PinBlocked(Refusal):
    """Too many wrong PINs in a row; a manager sets a new one."""

    kind = Kind.FORBIDDEN
    title_zh = "口令连续输错次数过多,请店长重设"


class ClerkNeeded(Refusal):
    """At this store a clerk signs in with a PIN first."""

    kind = Kind.FORBIDDEN
    title_zh = "本门店须店员先用口令登录收银端"


class ShiftOver(Refusal):
    """This shift is over; sign in at this terminal again."""

    kind = Kind.UNAUTHENTICATED
    title_zh = "当班已结束,请重新登录"


class ManagerNeeded(Refusal):
    """Only a manager of this merchant may do this."""

    kind = Kind.FORBIDDEN
    title_zh = "此操作须由店长进行"


class OwnVoucher(Refusal):
    """A clerk does not honour or undo the own voucher; somebody else must."""

    kind = Kind.FORBIDDEN
    title_zh = "店员不能核销或撤销本人的兑换券,请由他人办理"


class ClerkUnlinked(Refusal):
    """At this store only clerks sign in who said which citizen they are."""

    kind = Kind.FORBIDDEN
    title_zh = "本门店要求店员先在小程序中关联本人账户"


class ClerkLinked(Refusal):
    """This clerk is another citizen already."""

    kind = Kind.CONFLICT
    title_zh = "该店员已关联其他居民账户"
