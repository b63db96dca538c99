"""The table of commands. Each is imported when it is called, so that `backfire --help` imports none."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backfire.cli.command import Command

STAGES, WHOLE, AROUND = "Stages, in their order", "All stages together", "Around them"


@dataclass(frozen=True)
class Entry:
    """A command, or a group of commands where `target` is empty."""

    name: str
    """`sample`, or `train dpo` for a command of a group."""
    heading: str
    about: str
    """The first sentence of its help."""
    target: str = ""
    """Its class, as `module:Class` of the package `backfire.cli`."""

    def load(self) -> type[Command]:
        """The command's class, imported now."""
        module, _, name = self.target.partition(":")
        made: type[Command] = getattr(import_module(f"backfire.cli.{module}"), name)
        return made

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.name.split())


COMMANDS = (
    Entry("sample", STAGES, "Sample responses to prompts from a model, each stored once.", "collecting:Sample"),
    Entry("import", STAGES, "Store responses that were written elsewhere: AlpacaEval outputs, people's answers.", "collecting:Import"),
    Entry("score", STAGES, "Score stored responses with a reward model, each once.", "collecting:ScoreStored"),
    Entry("pair", STAGES, "Build preference pairs from stored responses by a recipe.", "pairing:Pair"),
    Entry("audit", STAGES, "Say what the label of a preference data set encodes, before anything is trained on it.", "auditing:Audit"),
    Entry("show", STAGES, "Show pairs as the tokens that training is handed, and count over all pairs what goes wrong on the way.", "showing:Show"),
    Entry("convert", STAGES, "Write preference data of any form as conversational prompt, chosen and rejected, which TRL takes as they are.", "converting:Convert"),
    Entry("repair", STAGES, "Make a better preference data set of a given one, with what was changed and why.", "repairing:RepairDataset"),
    Entry("train", STAGES, "Train a model, by TRL: dpo and reward on pairs, sft on conversations, rloo on its own responses to prompts."),
    Entry("train dpo", STAGES, "Train a policy on preference pairs by DPO; what it starts from is the reference model.", "training:TrainDPO"),
    Entry("train sft", STAGES, "Fine-tune a policy on conversations; only the assistant's turns are learned.", "training:TrainSFT"),
    Entry("train reward", STAGES, "Train a reward model on preference pairs, and say how often it agrees with pairs that it was not trained on.", "training:TrainReward"),
    Entry("train rloo", STAGES, "Train a policy on responses that it samples itself, towards a reward model's higher scores (RLHF by RLOO).", "training:TrainRLOO"),
    Entry("attack", STAGES, "Attack a model: one response to each prompt, judged, with 95% intervals.", "attacking:Attack"),
    Entry("judge", STAGES, "Ask judges, compare them with people, and train one."),
    Entry("judge validate", STAGES, "Compare judges with people: accuracy, precision, recall, F1 and kappa on labelled responses.", "judging:Validate"),
    Entry("judge train", STAGES, "Train a small judge on labelled responses: no download, no key, seconds on a laptop.", "judging:TrainJudge"),
    Entry("judge file", STAGES, "Judge a file of responses: every row again, with each judge's decision, harmful, refusal, score and reason.", "judging:JudgeFile"),
    Entry("judge correct", STAGES, "The attack success rate of FILE's responses, corrected for the judge's errors (Rogan and Gladen 1978).", "judging:Correct"),
    Entry("general", STAGES, "Score a model on general tasks, by lm-evaluation-harness.", "general:General"),
    Entry("compare", STAGES, "Compare policies on the same prompts: differences with 95% intervals, exact tests, Holm's correction.", "comparing:Compare"),
    Entry("release", STAGES, "Decide whether a candidate may replace its base, by written rules: pass, fail or not decided.", "releasing:Release"),
    Entry("release verify", STAGES, "Compute again what a release file is bound to, and say what differs and what could not be checked.", "releasing:Verify"),
    Entry("release card", STAGES, "Put the section about a release into a model card or a data-set card, here or on the hub.", "releasing:Card"),
    Entry("release schema", STAGES, "Print the JSON schema of rules files, by which editors complete and check them.", "releasing:Schema"),
    Entry("report", STAGES, "Write the page of a run anew, and print its table.", "reporting:Report"),
    Entry("report compare", STAGES, "Compare two studies cell by cell: differences with 95% intervals, paired tests, Holm's correction.", "reporting:CompareStudies"),
    Entry("report inspect", STAGES, "Write stored attacks as Inspect logs; nothing is asked again.", "reporting:InspectLogs"),
    Entry("demo", WHOLE, "Run the demo: seven ways of choosing responses, on model organisms, from prompts to the page.", "studying:Demo"),
    Entry("study", WHOLE, "Run a whole study: prompts to report, over recipes, targets and seeds."),
    Entry("study run", WHOLE, "Run a study, or go on with it: what is done is not done again.", "studying:Run"),
    Entry("study cells", WHOLE, "List the cells of a study, and which of their stages are done in the run folder.", "studying:Cells"),
    Entry("study example", WHOLE, "Print the demo's study file, to start your own from.", "studying:Example"),
    Entry("study schema", WHOLE, "Print the JSON schema of study files, by which editors complete and check them.", "studying:Schema"),
    Entry("init", WHOLE, "Write a commented study file, or the rules of a release check, for what lies in a folder.", "starting:Init"),
    Entry("completion", AROUND, "Print a script by which a shell completes commands, options and their values.", "completing:Completion"),
    Entry("ledger", AROUND, "Merge the ledgers of several machines."),
    Entry("ledger merge", AROUND, "Put what several ledgers hold into one, each prompt, response, score and verdict once.", "ledgers:Merge"),
    Entry("prompts", AROUND, "List published prompt sets with their licences; none comes with backfire.", "prompts:Prompts"),
    Entry("recipes", AROUND, "List the recipes: who writes each side, and how one response is picked.", "pairing:Recipes"),
    Entry("organisms", AROUND, "Model organisms: list a world's members, or grow another world.", "organisms:ListMembers"),
    Entry("organisms grow", AROUND, "Grow a world of organisms: 20 to 30 minutes of one core. A stopped run goes on where it was.", "organisms:Grow"),
)  # fmt: skip

ABOUT = "Will your preference data backfire? Build it, audit it, train on it, attack the result, report."
EPILOG = (
    "Exit codes: 0 all done; 1 done in part, or an unexpected error (the output says which); "
    "2 an input that cannot be used; 3 a condition of `audit --fail-on` holds or could not be looked at, or a rule of `release` is broken; "
    "4 no rule of `release` is broken, and one is not decided; 130 interrupted."
)


def children(group: str) -> tuple[Entry, ...]:
    """The commands of a group; of "", those that stand alone, and the groups."""
    depth = len(group.split()) + 1
    return tuple(
        e for e in COMMANDS if len(e.words) == depth and e.words[: depth - 1] == tuple(group.split())
    )
