"""What the stages of a study make, as the stages after them read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfire.errors import StudyError
from backfire.models.settings import Opening
from backfire.records import Response
from backfire.store import Ledger, read_json
from backfire.study.identities import opened_digest
from backfire.study.inputs import Artifact
from backfire.study.openings import AS_IT_IS

if TYPE_CHECKING:
    from backfire.influence import ProbeSets
    from backfire.pairs import Pair

PAIRS = "pairs.json"
PROBES = "probes.jsonl"
VALUES = "pairs.parquet"
"""Of an influence: every pair's own value."""
TRAINED = "training.json"
WATCHED = "watch.jsonl"
REWARDS = "rewards.jsonl"


@dataclass(frozen=True)
class ResponsesArtifact(Artifact):
    """Responses that were sampled, or read from a file or a human-labelled set. The ledger holds them."""

    def read(self, ledger: Ledger) -> list[Response]:
        """The responses that the artifact lists, in its order."""
        listed = _report(self.folder)
        ids = listed.get("responses", [*listed.get("chosen", ()), *listed.get("rejected", ())])
        responses = ledger.responses(ids)
        if lost := sum(i not in responses for i in ids):
            raise StudyError(
                f"{ledger.path} lacks {lost} of the {len(ids)} responses that {self.folder} lists: was the ledger "
                f"moved or replaced? Put it back, or remove {self.folder.parent} so that they are sampled again"
            )
        return [responses[i] for i in ids]

    def preferred(self) -> set[str]:
        """Of a human-labelled set: the ids of the responses that people preferred."""
        return set(_report(self.folder)["chosen"])


@dataclass(frozen=True)
class ScoresArtifact(Artifact):
    """Scores of responses by the reward model. The ledger holds them."""

    @property
    def scorer(self) -> str:
        """The id of the reward model."""
        return str(_report(self.folder)["scorer_id"])


@dataclass(frozen=True)
class PairsArtifact(Artifact):
    """A data set of pairs, built by a recipe or repaired."""

    @property
    def built(self) -> int:
        """How many pairs there are. Without any, nothing is audited, measured or trained."""
        about = self.folder / PAIRS
        return int(read_json(about)["counts"]["built"]) if about.is_file() else 0

    def read(self) -> tuple[Pair, ...]:
        from backfire.pairs import read_pairs

        return read_pairs(self.folder).pairs


@dataclass(frozen=True)
class ProbesArtifact(Artifact):
    """The probe sets that influence and margins are measured on."""

    def read(self) -> ProbeSets:
        from backfire.influence import ProbeSets, read_probes

        sets = read_probes(self.folder / PROBES)
        assert isinstance(sets, ProbeSets)
        return sets


@dataclass(frozen=True)
class InfluenceArtifact(Artifact):
    """The safety influence of a data set."""

    @property
    def values(self) -> Path:
        """The file with each pair's own value."""
        return self.folder / VALUES


@dataclass(frozen=True)
class PolicyArtifact(Artifact):
    """A trained policy."""

    opening: Opening = AS_IT_IS

    def digest(self) -> str:
        return opened_digest(super().digest(), self.opening)

    @property
    def reference(self) -> str | None:
        """The checkpoint to open; None where nothing was trained, for there was no pair."""
        return str(self.folder) if (self.folder / TRAINED).is_file() else None


@dataclass(frozen=True)
class RewardArtifact(Artifact):
    """A reward model that the study trained."""

    opening: Opening = AS_IT_IS

    def digest(self) -> str:
        return opened_digest(super().digest(), self.opening)

    @property
    def reference(self) -> str:
        """The checkpoint to open."""
        return str(self.folder)


def _report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = read_json(folder / "stage.json")
    return report
