"""Why a record of a partner is refused. In a batch the code is a line's, in a request the answer's."""

from kernel.errors import Kind, Refusal


class OccurredInFuture(Refusal):
    """The activity lies in the future."""

    kind = Kind.INVALID
    title_zh = "行为发生时间在未来"


class OccurredTooLongAgo(Refusal):
    """The activity lies before 2015, when no table begins."""

    kind = Kind.INVALID
    title_zh = "行为发生时间早于 2015 年"


class UnboundCard(Refusal):
    """This card or account is bound to no citizen."""

    kind = Kind.INVALID
    title_zh = "该卡或账户未绑定市民"


class ConsentMissing(Refusal):
    """The citizen has not consented to records of this partner."""

    kind = Kind.INVALID
    title_zh = "市民尚未授权该合作方的数据"


class ConsentWithdrawn(Refusal):
    """The citizen has withdrawn the consent to records of this partner."""

    kind = Kind.INVALID
    title_zh = "市民已撤回对该合作方数据的授权"


class ScenarioUnknown(Refusal):
    """No published table speaks of this scenario."""

    kind = Kind.INVALID
    title_zh = "没有任何已发布的因子表包含该场景"


class RecordDiffers(Refusal):
    """This event was taken before with other content; a correction names the revision it corrects."""

    kind = Kind.CONFLICT
    title_zh = "同一事件已登记且内容不同,更正须注明所更正的版本"


class RevisionUnknown(Refusal):
    """The revision that this record corrects was never taken."""

    kind = Kind.INVALID
    title_zh = "所更正的版本不存在"


class LineRefused(Refusal):
    """The record is not in the form that activities have."""

    kind = Kind.INVALID
    title_zh = "记录不符合行为数据的格式"


class BatchDiffers(Refusal):
    """This reference belongs to a batch with other content."""

    kind = Kind.CONFLICT
    title_zh = "该批次编号已用于内容不同的批次"


class AdapterUnknown(Refusal):
    """There is no adapter of this name."""

    kind = Kind.INVALID
    title_zh = "没有这个名称的适配器"
