"""Issuing, verifying and drawing voucher codes on one core."""

from datetime import UTC, datetime

from app.factory import Product
from app.product_calls import run
from bench.figures import Figure, core_rate
from kernel.identifiers import new_id
from kernel.signing import Purpose, verification_keys
from rewards.qr_images import qr_png, qr_svg
from rewards.voucher_codes import Till, issue, steps, verify

IMAGES = 100


def code_figures(product: Product, *, codes: int) -> list[Figure]:
    """Codes and images a second."""
    now = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
    signer = run(product, lambda call: call.keys.signer(call.db, Purpose.VOUCHER_CODE, now=call.now))
    keys = run(product, lambda call: verification_keys(call.db, Purpose.VOUCHER_CODE, now=call.now))
    ends = steps(now, ends_at=datetime(2027, 1, 1, tzinfo=UTC))[0]
    made: list[str] = []

    def issue_all() -> None:
        made.extend(issue(signer, code_id=new_id().bytes, scope_no=0, not_after=ends) for _ in range(codes))

    till = Till(scope_no=0, seen=lambda _code_id: False)

    def verify_all() -> None:
        for code in made:
            verify(code, keys=keys, till=till, now=now)

    issued = core_rate(issue_all, count=codes)
    verified = core_rate(verify_all, count=codes)
    svg = core_rate(lambda: [qr_svg(code, "voucher") for code in made[:IMAGES]], count=min(IMAGES, codes))
    png = core_rate(lambda: [qr_png(code, "voucher") for code in made[:IMAGES]], count=min(IMAGES, codes))
    return [
        Figure(name="code_issue", value=issued, unit="/s core"),
        Figure(name="code_verify", value=verified, unit="/s core"),
        Figure(name="qr_svg", value=svg, unit="/s core"),
        Figure(name="qr_png", value=png, unit="/s core"),
    ]
