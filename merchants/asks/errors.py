"""What is said no to where a voucher's owner is asked first."""

from kernel.errors import Kind, Refusal


class OwnerAskedFirst(Refusal):
    """The owner of this voucher is asked first: prepare it, then confirm once the owner has said yes."""

    kind = Kind.CONFLICT
    title_zh = "该券须顾客在手机上确认:请先预核销,待顾客确认后再确认核销"


class CitizenNotConfirmed(Refusal):
    """The owner of this voucher has not said yes."""

    kind = Kind.CONFLICT
    title_zh = "顾客尚未确认核销"


class AskOver(Refusal):
    """This question was answered already, or its time is over."""

    kind = Kind.GONE
    title_zh = "该确认请求已答复或已超时"
