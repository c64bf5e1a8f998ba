"""What putting a rule in force says no to."""

from kernel.errors import Kind, Refusal


class RuleStartsInPast(Refusal):
    """A rule starts today or later; what was credited under its predecessor is history."""

    kind = Kind.CONFLICT
    title_zh = "规则的生效日不能早于今天"


class RuleStartsTooFar(Refusal):
    """A rule starts within two years; one further off would only bar the way for others."""

    title_zh = "规则的生效日须在两年之内"


class ScenarioCapped(Refusal):
    """Another cap already limits one of these scenarios at that time."""

    kind = Kind.CONFLICT
    title_zh = "其中某一场景在该时段已有其他上限"


class NotARule(Refusal):
    """This publication is no rule; a factor table has its own address."""

    kind = Kind.CONFLICT
    code = "not_a_rule"
    title_zh = "该发布件不是规则,因子表请使用其专用地址"


class StartsDuringNotice(Refusal):
    """A rule starts after the last day of its notice; a later first day makes another draft."""

    kind = Kind.CONFLICT
    title_zh = "规则的生效日须在公示期届满之后"
