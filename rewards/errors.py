"""What rewards, vouchers and codes say no to; the Chinese titles are what a clerk reads aloud."""

from kernel.errors import Kind, Refusal


class CodeRefused(Refusal, abstract=True):
    """This code is not accepted."""


class CodeWrongLength(CodeRefused):
    """A voucher code has exactly 147 characters."""

    title_zh = "扫到的不是完整的兑换券码,请重新扫码"


class CodeWrongPrefix(CodeRefused):
    """This is not a voucher code of ours."""

    title_zh = "这不是本平台的兑换券码"


class CodeNotCanonical(CodeRefused):
    """This code is written in a way no issuer writes."""

    title_zh = "券码书写不规范,请顾客刷新后重新扫码"


class CodeVersionUnknown(CodeRefused):
    """This version of voucher code is not known here."""

    title_zh = "券码版本无法识别,请更新收银端"


class CodeKeyUnknown(CodeRefused):
    """This code was signed with a key that is unknown or retired."""

    title_zh = "券码签发密钥未知或已停用"


class CodeSignatureWrong(CodeRefused):
    """This code was not signed by us."""

    title_zh = "券码签名不正确,可能是伪造的"


class CodeForAnotherStore(CodeRefused):
    """This code belongs to another store."""

    kind = Kind.CONFLICT
    title_zh = "该券不能在本门店使用"


class CodeNotYetValid(CodeRefused):
    """This code is not valid yet; a clock may be wrong."""

    kind = Kind.CONFLICT
    title_zh = "券码尚未生效,请检查收银端时间"


class CodeTooOld(CodeRefused):
    """This code has run out; the phone shows a new one every 30 seconds."""

    kind = Kind.GONE
    title_zh = "券码已过期(可能是截图),请顾客打开兑换券刷新"


class CodeSeen(CodeRefused):
    """This code belongs to a use of the voucher that is over."""

    kind = Kind.CONFLICT
    title_zh = "该券码已使用过,请顾客打开兑换券刷新"
