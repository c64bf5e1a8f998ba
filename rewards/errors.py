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


class CodeOnlineOnly(Refusal):
    """This code names no store; only a terminal that can ask may accept it."""

    kind = Kind.CONFLICT
    title_zh = "该券只能联网核销"


class RewardNotOnSale(Refusal):
    """This reward is not on sale now."""

    kind = Kind.CONFLICT
    title_zh = "该权益当前不可兑换"


class RewardLimitReached(Refusal):
    """You already have as many of this reward as one person may have."""

    kind = Kind.CONFLICT
    title_zh = "已达到每人可兑换的上限"


class OutOfStock(Refusal):
    """The last of this reward is gone."""

    kind = Kind.CONFLICT
    title_zh = "该权益已兑完"


class VoucherLocked(Refusal):
    """This voucher is being scanned at a terminal."""

    kind = Kind.CONFLICT
    title_zh = "该券正在另一台收银端核销中,请稍候"


class VoucherRedeemed(Refusal):
    """This voucher was already redeemed."""

    kind = Kind.CONFLICT
    title_zh = "该券已核销"


class VoucherClosing(Refusal):
    """This voucher is being ended; its coins go back once no offline scan of it can arrive."""

    kind = Kind.GONE
    title_zh = "该券正在结束,待离线核销截止后退回碳币"


class VoucherEnded(Refusal):
    """This voucher has ended and its coins went back."""

    kind = Kind.GONE
    title_zh = "该券已结束,碳币已退回"


class VoucherPastItsDay(Refusal):
    """The last day of this voucher is over."""

    kind = Kind.GONE
    title_zh = "该券已过有效期"


class AliasUnknown(Refusal):
    """This number belongs to no voucher, was used, or is older than 60 seconds."""

    kind = Kind.CONFLICT
    title_zh = "数字码无效、已使用或已超过60秒,请顾客刷新"


class FundingWrong(Refusal):
    """The shares of a reward name each funder once and are positive."""

    title_zh = "资金来源份额填写有误"


class AliasMistyped(Refusal):
    """The check digit says that this number was mistyped."""

    title_zh = "数字码输入有误,请核对后重输"


class VoucherForAnotherMerchant(Refusal):
    """This voucher is honoured by another merchant or in another region."""

    kind = Kind.CONFLICT
    title_zh = "该券不能在本商户使用"


class CodeTwice(Refusal):
    """This voucher stands in the batch before."""

    title_zh = "同一张券在本次批量中重复出现"
