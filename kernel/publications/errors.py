"""What publishing says no to."""

from kernel.errors import Kind, Refusal


class AuthorCannotPublish(Refusal):
    """A publication is published by another person than its author."""

    kind = Kind.FORBIDDEN
    title_zh = "起草人不能发布自己的内容"


class NotADraft(Refusal):
    """This publication is not a draft any more."""

    kind = Kind.CONFLICT
    code = "not_a_draft"
    title_zh = "该内容已不是草稿"


class PublicationsOverlap(Refusal):
    """Another publication of this subject already starts on or after that day."""

    kind = Kind.CONFLICT
    title_zh = "同一主题在该日期起已有其他发布"


class NoRuleInForce(Refusal):
    """No published rule of this kind is in force on that day."""

    kind = Kind.CONFLICT
    title_zh = "该日没有生效的规则"


class RuleKindUnknown(Refusal):
    """There is no such kind of rule."""

    title_zh = "没有这种规则"


class RuleContentWrong(Refusal):
    """The rule does not say what a rule of its kind says."""

    title_zh = "规则内容不符合该类规则的格式"


class AuthorCannotReview(Refusal):
    """A proposal is reviewed, and objections to it are answered, by another person than its author."""

    kind = Kind.FORBIDDEN
    title_zh = "起草人不能审核自己的内容,也不能答复对其的异议"


class ReviewerCannotPublish(Refusal):
    """Whoever approved a proposal neither gives notice of it nor publishes it."""

    kind = Kind.FORBIDDEN
    title_zh = "审核人不能公示或发布自己审核的内容"


class NoProcedure(Refusal):
    """The region's procedure asks for no such step of publications of this kind."""

    kind = Kind.CONFLICT
    title_zh = "本区域的发布程序不要求此类内容经过该步骤"


class NotUnderReview(Refusal):
    """This publication is not at the step that this request is about."""

    kind = Kind.CONFLICT
    title_zh = "该内容不处于此操作所要求的阶段"


class AlreadyApproved(Refusal):
    """Somebody has approved this proposal already."""

    kind = Kind.CONFLICT
    title_zh = "该内容已经审核通过"


class TooManyComments(Refusal):
    """There are as many comments on this proposal as a review takes."""

    kind = Kind.CONFLICT
    title_zh = "本轮审核意见数量已达上限"


class ReviewMissing(Refusal):
    """The procedure asks for the approval of a third person first."""

    kind = Kind.CONFLICT
    title_zh = "按发布程序须先经第三人审核通过"


class NoticeMissing(Refusal):
    """The procedure asks for a public notice first."""

    kind = Kind.CONFLICT
    title_zh = "按发布程序须先行公示"


class NoticeNotOver(Refusal):
    """The public may object until the end of the last day of the notice."""

    kind = Kind.CONFLICT
    title_zh = "公示期尚未届满"


class NoticeOver(Refusal):
    """The last day of this notice has passed."""

    kind = Kind.CONFLICT
    title_zh = "公示期已满"


class AlreadyObjected(Refusal):
    """One objection a notice: this person or enterprise has objected already."""

    kind = Kind.CONFLICT
    title_zh = "每次公示每人(每家企业)只能提出一次异议,您已提出过"


class AlreadyAnswered(Refusal):
    """This objection has its answer already."""

    kind = Kind.CONFLICT
    title_zh = "该异议已有答复"


class ObjectionsUnanswered(Refusal):
    """The procedure asks for an answer to every objection first."""

    kind = Kind.CONFLICT
    title_zh = "按发布程序须先答复全部异议"


class ObjectionUpheld(Refusal):
    """An objection was upheld; the proposal is returned, and a better one drafted."""

    kind = Kind.CONFLICT
    title_zh = "有异议成立,应退回并重新起草"


class CalendarMissing(Refusal):
    """The region has published no working calendar of this year, and working days are not guessed."""

    kind = Kind.CONFLICT
    title_zh = "本区域尚未发布该年度的工作日历,无法计算工作日"


class NotPublished(Refusal):
    """Only what is published can be withdrawn."""

    kind = Kind.CONFLICT
    title_zh = "只有已发布的内容可以撤回"


class AlreadyWithdrawn(Refusal):
    """This publication was withdrawn already."""

    kind = Kind.CONFLICT
    title_zh = "该内容已经撤回"


class WithdrawalNotAhead(Refusal):
    """A withdrawal begins on a day to come; what was ruled until then stays."""

    title_zh = "撤回须从今后某日起生效"


class EndsBefore(Refusal):
    """This publication has ended by that day anyhow."""

    kind = Kind.CONFLICT
    title_zh = "该内容在该日之前已经终止"


class ProcedureStays(Refusal):
    """A procedure is followed by another one, never withdrawn: nobody takes the review away alone."""

    kind = Kind.CONFLICT
    title_zh = "发布程序只能由新程序接替,不能撤回"
