"""Audit a preference file, act on what it says, and audit the result.

    python examples/audit_and_act.py runs/audit-and-act

The file holds pairs of the recipe gpt4o+self: another model wrote every chosen response, the policy every rejected one. The audit says so
(a source leak). So the policy says every chosen response in its own words, the decision being checked, and the audit looks again.
"""

import sys
from pathlib import Path

import backfire as bf

POLICY = "organism:llama/target"


def make_file(folder: Path, prompts: int) -> Path:
    """A preference file as somebody might have it: one model's responses over another's."""
    asked = bf.open_prompts("organism:prompts/train").prompts[:prompts]
    how = bf.Decoding(max_new_tokens=48, temperature=0.7)
    with bf.Ledger(folder / "ledger.db") as ledger:
        own = bf.sample(bf.open_model(POLICY), asked, ledger=ledger, decoding=how).responses
        strong = bf.sample(bf.open_model("organism:gpt4o"), asked, ledger=ledger, decoding=how).responses
    built = bf.build_pairs(bf.load_recipes()["gpt4o+self"], asked, {"gpt4o": strong, "self": own})
    return bf.write_pairs(folder / "given", built)


def summary(report: bf.AuditReport) -> str:
    """The best held-out AUROC of chosen against rejected, over all pairs and over those whose sides decide alike."""
    best = max(report.separability, key=lambda probe: probe.pointwise.auroc)
    whole, alike = best.pointwise, best.decision_matched
    matched = (
        alike.reason if alike.auroc is None else f"{alike.auroc:.2f} [{alike.low:.2f}, {alike.high:.2f}]"
    )
    return f"{best.about}: {whole.auroc:.2f} [{whole.low:.2f}, {whole.high:.2f}]; decision-matched: {matched}"


def main(folder: Path, prompts: int = 200) -> tuple[bf.AuditReport, bf.AuditReport]:
    """Run it in this folder; gives the audit before and after."""
    folder.mkdir(parents=True, exist_ok=True)
    data = make_file(folder, prompts)
    before = bf.audit(data)
    bf.write_audit_page(before, folder / "before.html")
    print("before:", summary(before))
    if before.source_leak is None:
        print("no source is recorded: look at the shortcuts in before.html")
        return before, before
    how = bf.Decoding(max_new_tokens=48, temperature=0.7)
    repaired = bf.repair(
        data, method="restyle", policy=POLICY, out=folder / "repaired", tries=3, decoding=how, audit=False
    )
    after = bf.audit(repaired.folder)
    bf.write_audit_page(after, folder / "after.html")
    print("after:", summary(after))
    return before, after


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/audit-and-act"))
