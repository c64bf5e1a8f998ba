"""What tills, redemptions and reversals say no to."""

from kernel.errors import Kind, Refusal


class TerminalNotPaired(Refusal):
    """This terminal is not paired, or was revoked."""

    kind = Kind.UNAUTHENTICATED
    title_zh = "收银端未配对或已停用,请重新配对"


class PairingCodeWrong(Refusal):
    """This pairing code is unknown, used or too old."""

    kind = Kind.UNAUTHENTICATED
    title_zh = "配对码无效、已使用或已过期"


class TerminalKeyWrong(Refusal):
    """A terminal's public key is 64 hexadecimal characters of Ed25519."""

    title_zh = "终端公钥格式不正确"


class TooManyWrongNumbers(Refusal):
    """Too many wrong numbers were typed here; wait a minute or scan the code."""

    kind = Kind.TOO_MANY
    title_zh = "输错次数过多,请一分钟后再试或改为扫码"


class SessionOver(Refusal):
    """This reservation has lapsed or was used; scan the voucher again."""

    kind = Kind.GONE
    title_zh = "预核销已超时或已使用,请重新扫码"


class TerminalWithoutKey(Refusal):
    """This terminal was paired without a key of its own; pair it anew to use it offline."""

    kind = Kind.CONFLICT
    title_zh = "该收银端配对时未登记密钥,请重新配对后再离线使用"


class OfflineNotAllowed(Refusal):
    """No rule in force lets terminals honour vouchers without asking."""

    kind = Kind.CONFLICT
    title_zh = "本地区未发布离线核销规则"


class OfflineChainBroken(Refusal):
    """These records do not continue the chain of this terminal."""

    kind = Kind.CONFLICT
    title_zh = "离线记录与该收银端的记录链不连续"


class OfflineClockWrong(Refusal):
    """This record was written by a clock that ran ahead or went back."""

    kind = Kind.CONFLICT
    title_zh = "离线记录的时间不可信"


class ReversalWindowOver(Refusal):
    """The time in which this redemption may be reversed is over."""

    kind = Kind.CONFLICT
    title_zh = "已超过可撤销核销的时限"


class RedemptionSettled(Refusal):
    """This redemption was settled; only an adjustment of two persons corrects it now."""

    kind = Kind.CONFLICT
    title_zh = "该笔核销已结算，只能由两人办理调整"
