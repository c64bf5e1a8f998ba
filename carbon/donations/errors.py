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


class StatementUnknown(Refusal):
    """This is not the exclusivity statement that is signed today."""

    kind = Kind.CONFLICT
    title_zh = "所引用的专属声明不是现行版本"


class MeterOffered(Refusal):
    """What this meter counted in these days was credited or offered before."""

    kind = Kind.CONFLICT
    title_zh = "该计量表在此期间的计量已被入账或申报"


class RegistrationOffered(Refusal):
    """This number of another scheme stands behind another project already."""

    kind = Kind.CONFLICT
    title_zh = "该机制编号已用于其他项目"


class RecordCredited(Refusal):
    """This record of a data partner was credited to a citizen, or taken by another project."""

    kind = Kind.CONFLICT
    title_zh = "该数据记录已为市民入账或已被其他项目使用"


class PartnerUnknown(Refusal):
    """There is no such data partner in this region."""

    kind = Kind.INVALID
    title_zh = "本区域没有该数据合作方"


class AlreadyWithdrawn(Refusal):
    """This donation was withdrawn before."""

    kind = Kind.CONFLICT
    title_zh = "该捐赠已撤回"


class NothingLeftToWithdraw(Refusal):
    """All of this donation was shared out; citizens keep what they got."""

    kind = Kind.CONFLICT
    title_zh = "该捐赠已全部分配给市民,不能撤回"


class SerialUnknown(Refusal):
    """No kilogram of this region's pool has this serial."""

    kind = Kind.NOT_FOUND
    title_zh = "该区域公益池没有这个编号"


class PoolCampaignUnknown(Refusal):
    """There is no such line in this region's spending plan."""

    kind = Kind.INVALID
    title_zh = "本区域支出计划中没有该项目"


class PoolCampaignKeyTaken(Refusal):
    """The region's spending plan has a line of this name."""

    kind = Kind.CONFLICT
    title_zh = "支出计划中已有同名项目"


class PoolCampaignNotOpen(Refusal):
    """This line of the spending plan does not run today."""

    kind = Kind.CONFLICT
    title_zh = "该支出计划今日不在有效期内"


class PoolCampaignSpent(Refusal):
    """More would be shared out than is left of this line of the spending plan."""

    kind = Kind.CONFLICT
    title_zh = "超出该支出计划的剩余额度"


class DocumentTypeUnknown(Refusal):
    """A document is a PDF, a PNG or JPEG picture, or an Excel workbook without macros."""

    kind = Kind.UNSUPPORTED_MEDIA
    title_zh = "材料只接受 PDF、PNG、JPEG 和不含宏的 Excel 工作簿"


class DocumentThere(Refusal):
    """The dossier has this very document."""

    kind = Kind.CONFLICT
    title_zh = "该材料已在卷中"


class DossierFull(Refusal):
    """The dossier has as many documents as one may have."""

    kind = Kind.CONFLICT
    title_zh = "材料份数已达上限"


class DossierClosed(Refusal):
    """The project is decided; its dossier stays as it was read."""

    kind = Kind.CONFLICT
    title_zh = "项目已审批,材料不能再变更"
