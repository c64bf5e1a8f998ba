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
