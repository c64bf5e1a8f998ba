"""What settling says no to."""

from kernel.errors import Kind, Refusal


class NotDueYet(Refusal):
    """Nothing of this merchant is due to be settled yet."""

    kind = Kind.CONFLICT
    title_zh = "该商户目前没有到期应结算的内容"


class WorkbookTooLarge(Refusal):
    """This settlement has more lines than a workbook takes; the CSV has them all."""

    kind = Kind.TOO_LARGE
    title_zh = "明细行数超过电子表格上限，请下载CSV"


class SettlementElsewhere(Refusal):
    """This settlement is not at the step that this request is about."""

    kind = Kind.CONFLICT
    title_zh = "该结算单不处于此操作所要求的阶段"


class DisputeWindowOver(Refusal):
    """The time in which this settlement may be disputed is over."""

    kind = Kind.CONFLICT
    title_zh = "已超过可提出异议的时限"


class LineUnknown(Refusal):
    """A line that is named is not of this settlement."""

    title_zh = "所指明细不属于该结算单"


class AnswerWrong(Refusal):
    """A dispute that is upheld has its corrections, one that is rejected has none."""

    title_zh = "支持异议须附调整，驳回异议不得附调整"


class PayerClosedIt(Refusal):
    """A settlement is paid by another person than who closed it."""

    kind = Kind.FORBIDDEN
    title_zh = "结算单不能由出账人本人付款"


class SettlementPaid(Refusal):
    """This settlement was paid by another bank statement."""

    kind = Kind.CONFLICT
    title_zh = "该结算单已凭另一笔银行流水付款"


class BankStatementUsed(Refusal):
    """This bank statement paid another settlement."""

    kind = Kind.CONFLICT
    title_zh = "该银行流水已用于另一张结算单"


class ProposerCannotDecide(Refusal):
    """An adjustment is decided by another person than who proposed it."""

    kind = Kind.FORBIDDEN
    title_zh = "调整不能由提出人本人审批"


class AdjustmentDecided(Refusal):
    """This adjustment was decided already."""

    kind = Kind.CONFLICT
    title_zh = "该调整已作出决定"


class NotSettled(Refusal):
    """This redemption was not settled, or was reversed; an adjustment corrects what was."""

    kind = Kind.CONFLICT
    title_zh = "该笔核销尚未结算或已撤销，不需调整"


class TakenBackBefore(Refusal):
    """This redemption was taken back by an adjustment already, or one is proposed."""

    kind = Kind.CONFLICT
    title_zh = "该笔核销已有撤回调整"
