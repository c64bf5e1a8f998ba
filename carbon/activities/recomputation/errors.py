"""What correcting earlier credits says no to."""

from kernel.errors import Kind, Refusal


class NotACorrection(Refusal):
    """Only a published table that corrects another one, and is not corrected itself, changes credits."""

    kind = Kind.CONFLICT
    code = "not_a_correction"
    title_zh = "只有已发布、更正其他因子表且自身未被更正的因子表可以用于更正入账"


class RecomputationOpen(Refusal):
    """A recomputation by this table is under way in this region."""

    kind = Kind.CONFLICT
    title_zh = "本区域已有按该因子表进行中的重新核算"


class AuthorCannotApprove(Refusal):
    """A recomputation is approved by another person than its author."""

    kind = Kind.FORBIDDEN
    title_zh = "发起人不能审批自己的重新核算"


class RecomputationNotWaiting(Refusal):
    """The recomputation is not in a state in which this can be done."""

    kind = Kind.CONFLICT
    title_zh = "该重新核算的当前状态不允许此操作"


class FiguresDiffer(Refusal):
    """These are not the figures of the dry run; read them again before approving."""

    kind = Kind.CONFLICT
    title_zh = "所批准的数据与试算结果不一致,请重新查看后再审批"


class FiguresMoved(Refusal):
    """What would be posted is no longer what was approved; a new dry run says what it is now."""

    kind = Kind.CONFLICT
    title_zh = "待入账数据与已批准的试算不再一致,请重新试算"
