"""The stages that measure a trained policy's behaviour: attacks, and general tasks. Both use one load of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backfire.records import Prompt
from backfire.store import Ledger, write_json
from backfire.study.artifacts import trained_policy
from backfire.study.cells import SFT, Cell, RunFolder
from backfire.study.identities import identity_of, judge_identity, suite_identity, tasks_identity
from backfire.study.inputs import open_judge, open_prompts
from backfire.study.plan import GeneralSettings, in_world
from backfire.study.policies import open_policy
from backfire.study.stage import Configuration, Stage, manifest_digest


def attack_stage(run: RunFolder, cell: Cell) -> Stage:
    """Attacks and benign prompts, judged."""
    settings = cell.study.attacks
    harmful = {name: in_world(ref, cell.world) for name, ref in settings.harmful.items()}
    benign = {name: in_world(ref, cell.world) for name, ref in settings.benign.items()}

    def make(aside: Path) -> dict[str, Any] | None:
        policy = trained_policy(run, cell)
        if policy is None:
            return {"skipped": "nothing was trained"}
        from backfire.evaluation import attack, attack_suite, open_suite

        attacks: dict[str, list[Prompt]] = {
            name: open_prompts(ref, kind="harmful") for name, ref in harmful.items()
        }
        allowed: dict[str, list[Prompt]] = {
            name: open_prompts(ref, kind="benign") for name, ref in benign.items()
        }
        with Ledger(run.ledger_path) as ledger:
            model = open_policy(policy, _policy_identity(run, cell))
            options: dict[str, Any] = {
                "judges": [open_judge(name, cell.world) for name in settings.judges],
                "ledger": ledger,
                "decoding": settings.decoding.decoding(),
                "seed": cell.seed,
                "system": settings.system,
            }
            if settings.suite is None:
                result = attack(model, attacks, allowed, **options)
            else:
                result = attack_suite(model, open_suite(settings.suite), attacks, allowed, **options)
        write_json(aside / "attack.json", {**result.as_dict(), "sets": {**harmful, **benign}})
        return {"lost": result.lost} if result.lost else None

    def configuration() -> Configuration:
        sets = {name: identity_of(ref) for name, ref in {**harmful, **benign}.items()}
        return {
            "stage": "attack",
            "settings": settings.model_dump(exclude_none=True),
            "suite": suite_identity(settings.suite),
            "sets": sets,
            "judges": [judge_identity(name, cell.world) for name in settings.judges],
            "policy": _policy_identity(run, cell),
        }

    folder = run.cell(cell) / "attack"
    return Stage(
        f"attack {cell.folder_name}", folder, _after_training(cell), configuration, make, tests_policy=True
    )


def general_stage(run: RunFolder, cell: Cell) -> Stage:
    """The general tasks, by lm-evaluation-harness."""
    settings = cell.study.general
    assert settings is not None

    def make(aside: Path) -> dict[str, Any] | None:
        policy = trained_policy(run, cell)
        if policy is None:
            return {"skipped": "nothing was trained"}
        from backfire.evaluation import general
        from backfire.models import LocalModel

        model = open_policy(policy, _policy_identity(run, cell))
        assert isinstance(model, LocalModel)
        tasks, data = _tasks(settings, cell.world)
        result = general(
            model,
            tasks,
            data=data,
            limit=settings.limit,
            num_fewshot=settings.num_fewshot,
            apply_chat_template=settings.chat_template,
        )
        write_json(aside / "general.json", result.as_dict())
        return None

    def configuration() -> Configuration:
        return {
            "stage": "general",
            "settings": settings.model_dump(),
            "tasks": tasks_identity(*_tasks(settings, cell.world)),
            "policy": _policy_identity(run, cell),
        }

    folder = run.cell(cell) / "general"
    return Stage(
        f"general {cell.folder_name}", folder, _after_training(cell), configuration, make, tests_policy=True
    )


def _tasks(settings: GeneralSettings, world: str | None) -> tuple[Path | list[str], Path | None]:
    """A folder of task files and where their data lie, or the names of the harness's own tasks."""
    from backfire.evaluation import organism_tasks
    from backfire.organisms import catalog

    if settings.tasks == "organism":
        return organism_tasks(), catalog.tasks_data(world or catalog.SHIPPED)
    names = [settings.tasks] if isinstance(settings.tasks, str) else list(settings.tasks)
    folder = Path(names[0])
    if len(names) == 1 and folder.exists():
        return folder, None if settings.data is None else Path(settings.data)
    return names, None


def _after_training(cell: Cell) -> list[str]:
    return [] if cell.recipe == SFT else [f"train {cell.folder_name}"]


def _policy_identity(run: RunFolder, cell: Cell) -> str:
    if cell.recipe == SFT:
        return identity_of(cell.policy)
    return manifest_digest(run.cell(cell) / "policy")
