"""What giving verified reductions says no to."""

from kernel.errors import Kind, Refusal


class DeclarerCannotApprove(Refusal):
    """A project is approved by another person than the one who declared it."""

    kind = Kind.FORBIDDEN
    title_zh = "申报人不能审批自己的项目"


class ProjectPeriodClaimed(Refusal):
    """This project period was offered before; no kilogram counts twice."""

    kind = Kind.CONFLICT
    title_zh = "该项目周期已被申报,减排量不得重复计算"


class ProjectNotWaiting(Refusal):
    """This project is not waiting for approval any more."""

    kind = Kind.CONFLICT
    title_zh = "该项目已不在待审批状态"


class ProjectNotApproved(Refusal):
    """Only the kilograms of an approved project can be given."""

    kind = Kind.CONFLICT
    title_zh = "项目未经审批,不能捐赠"


class NothingForCoins(Refusal):
    """The share of each citizen is too small for a single milli-coin."""

    kind = Kind.INVALID
    title_zh = "每人分得的减排量不足以兑换碳币"


class PeriodNotOver(Refusal):
    """The project's period is not over; only what happened can be verified."""

    kind = Kind.INVALID
    title_zh = "项目周期尚未结束,不能申报"


class MoreThanVerified(Refusal):
    """More would be given of this project than was verified of it."""

    kind = Kind.CONFLICT
    title_zh = "捐赠量超过该项目经核查的减排量"


class CitizenUnknown(Refusal):
    """There is no such citizen in this region."""

    kind = Kind.INVALID
    title_zh = "本区域没有该市民"
