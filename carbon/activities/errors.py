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


class CardWasAnothers(Refusal):
    """The card or account was another citizen's when this happened, or after it."""

    kind = Kind.INVALID
    title_zh = "行为发生之时或之后,该卡或账户曾属于另一位市民"


class CardGivenBack(Refusal):
    """Whom this was credited to has given the card or account back: a correction may only lower it."""

    kind = Kind.INVALID
    title_zh = "该行为的市民已解绑此卡或账户,更正只能调减"


class ConsentWasWithdrawn(Refusal):
    """The citizen had withdrawn the consent to records of this partner when this happened."""

    kind = Kind.INVALID
    title_zh = "行为发生时市民已撤回对该合作方数据的授权"


class ScenarioUnknown(Refusal):
    """No published table speaks of this scenario."""

    kind = Kind.INVALID
    title_zh = "没有任何已发布的因子表包含该场景"


class EvidenceMissing(Refusal):
    """The contract of this partner has several evidence tiers, and the record states none."""

    kind = Kind.INVALID
    title_zh = "合作方有多个证据等级,记录须注明其一"


class EvidenceNotGranted(Refusal):
    """This evidence tier is not one that the contract of this partner has."""

    kind = Kind.INVALID
    title_zh = "该证据等级不在合作方的约定之内"


class EvidenceUnknown(Refusal):
    """No published rule says what evidence of this tier counted for on that day."""

    kind = Kind.INVALID
    title_zh = "没有已发布的规则说明该证据等级当日的计入比例"


class RecordDiffers(Refusal):
    """This event was taken before with other content; a correction names the revision it corrects."""

    kind = Kind.CONFLICT
    title_zh = "同一事件已登记且内容不同,更正须注明所更正的版本"


class RevisionUnknown(Refusal):
    """The revision that this record corrects was never taken."""

    kind = Kind.INVALID
    title_zh = "所更正的版本不存在"


class MeterIntervalTaken(Refusal):
    """These days of the meter were credited before, by another record."""

    kind = Kind.CONFLICT
    title_zh = "该表计在这段日期内的用量已由另一条记录登记"


class TripClaimed(Refusal):
    """A trip or day of this kind at this time was credited to the citizen before, by another record."""

    kind = Kind.CONFLICT
    title_zh = "该市民在这段时间的同类出行或行为已由另一条记录登记"


class TripTooLong(Refusal):
    """The record claims more time than one record may: 366 slots of its kind."""

    kind = Kind.INVALID
    title_zh = "一条记录所占的时间过长,超过 366 个时段"


class ActivityHeld(Refusal):
    """What this record corrects is on hold, or was refused after one."""

    kind = Kind.CONFLICT
    title_zh = "所更正的行为正在核查,或核查后已被驳回"


class ActivityHeldBefore(Refusal):
    """This activity is on hold, or was once; that is decided once."""

    kind = Kind.CONFLICT
    title_zh = "该行为正在核查或已核查过,只核查一次"


class ActivityReversed(Refusal):
    """This activity was taken back already."""

    kind = Kind.CONFLICT
    title_zh = "该行为已被冲正"


class AppealedBefore(Refusal):
    """There is an appeal against this hold already."""

    kind = Kind.CONFLICT
    title_zh = "已提交过申诉"


class HoldDecided(Refusal):
    """This hold is decided."""

    kind = Kind.CONFLICT
    title_zh = "该核查已有结论"


class HolderCannotDecide(Refusal):
    """Who put the activity on hold does not decide about it."""

    kind = Kind.FORBIDDEN
    title_zh = "发起核查的人不能作出结论"


class TimeToAppeal(Refusal):
    """The citizen has not appealed yet and still has time to; it may be released meanwhile."""

    kind = Kind.CONFLICT
    title_zh = "市民尚在申诉期内且未申诉,此间只能解除核查"


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


class BatchTaken(Refusal):
    """Another run works on this batch."""

    kind = Kind.CONFLICT
    title_zh = "该批次正由另一进程处理"


class BatchAbandoned(Refusal):
    """The import of this batch was cut off too often and is given up."""

    kind = Kind.CONFLICT
    title_zh = "该批次的导入多次中断,已停止"


class BatchBegun(Refusal):
    """Lines of this batch are taken already; what they posted is put right by a batch of corrections."""

    kind = Kind.CONFLICT
    title_zh = "该批次已有记录入账,无法取消,请另行报送更正批次"


class BatchEnded(Refusal):
    """This batch has come to its end; there is nothing to cancel."""

    kind = Kind.CONFLICT
    title_zh = "该批次已结束,无可取消"


class BatchCancelled(Refusal):
    """This batch was cancelled; open another under a reference of its own."""

    kind = Kind.CONFLICT
    title_zh = "该批次已取消,请以新的编号另开批次"


class StationsMissing(Refusal):
    """Batches of this adapter need the station list before their content."""

    kind = Kind.CONFLICT
    title_zh = "该适配器的批次须先上传车站表"


class StationsNotTaken(Refusal):
    """Only batches of shenzhen_tong take a station list."""

    kind = Kind.CONFLICT
    title_zh = "只有 shenzhen_tong 批次接受车站表"


class UploadTooLarge(Refusal):
    """The upload is larger than a batch may be; send it as several batches."""

    kind = Kind.TOO_LARGE
    title_zh = "上传内容超过单个批次的上限,请分批上传"


class UploadIncomplete(Refusal):
    """Less arrived than Content-Length announced; nothing of it is kept."""

    kind = Kind.BAD_REQUEST
    title_zh = "收到的内容少于 Content-Length 声明的长度,未作任何保留"


class UploadTooSlow(Refusal):
    """The upload came slower than one may, or took longer; nothing of it is kept."""

    kind = Kind.BAD_REQUEST
    title_zh = "上传过慢或耗时过长,未作任何保留"


class UploadUnderWay(Refusal):
    """Another upload of yours is on its way; send one after the other."""

    kind = Kind.TOO_MANY
    title_zh = "您的另一个上传正在进行,请逐个上传"


class UploadLost(Refusal):
    """The uploaded file is no longer in the uploads folder."""

    kind = Kind.GONE
    title_zh = "已上传的文件不复存在"


class UploadLineTooLong(Refusal):
    """A line of the upload is longer than any record can be."""

    kind = Kind.TOO_LARGE
    title_zh = "上传内容中有一行过长"


class ContentDigestMissing(Refusal):
    """The header Content-Digest with a sha-256 of the body is needed (RFC 9530)."""

    kind = Kind.BAD_REQUEST
    title_zh = "缺少 Content-Digest 首部的 sha-256 摘要"


class ContentDigestDiffers(Refusal):
    """The body is not the one that Content-Digest was made of; nothing of it is kept."""

    kind = Kind.BAD_REQUEST
    title_zh = "内容与 Content-Digest 摘要不符,未作任何保留"


class EncodingUnknown(Refusal):
    """The body may be plain or gzip; no other Content-Encoding is taken."""

    kind = Kind.UNSUPPORTED_MEDIA
    title_zh = "只接受未压缩或 gzip 压缩的内容"


class EncodingBroken(Refusal):
    """The body is not whole gzip, as Content-Encoding says it is."""

    kind = Kind.BAD_REQUEST
    title_zh = "内容不是完整的 gzip 数据"


class InflatesTooFar(Refusal):
    """The body inflates to more than honest data does."""

    kind = Kind.TOO_LARGE
    title_zh = "压缩内容的膨胀倍数超过上限"


class SpanBackwards(Refusal):
    """The last day lies before the first."""

    kind = Kind.INVALID
    title_zh = "截止日早于起始日"


class SpanTooLong(Refusal):
    """A request simulates at most 366 days; the command `flask carbon simulate` takes any number."""

    kind = Kind.INVALID
    title_zh = "单次请求最多模拟 366 天,更长的区间请使用命令 flask carbon simulate"


class TooManyToSimulate(Refusal):
    """More activities lie in these days than one request simulates; ask for fewer, or use the command."""

    kind = Kind.INVALID
    title_zh = "该区间内的行为记录超过单次请求可模拟的数量,请缩短区间或使用命令"
