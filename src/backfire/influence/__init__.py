"""Safety influence: what training on a data set, or on one pair of it, does to refusing, before anything is trained."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.influence.margins import mean_margins
    from backfire.influence.pilot import Pilot, run_pilot
    from backfire.influence.predicting import safety_influence, safety_influence_of
    from backfire.influence.probes import (
        Probe,
        ProbeSet,
        ProbeSets,
        open_probes,
        read_probes,
        sample_probes,
        write_probes,
    )
    from backfire.influence.settings import InfluenceSettings, PilotSettings
    from backfire.influence.two_pass import PairInfluence, pair_influence
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "margins": ("mean_margins",),
            "pilot": ("Pilot", "run_pilot"),
            "predicting": ("safety_influence", "safety_influence_of"),
            "probes": (
                "Probe",
                "ProbeSet",
                "ProbeSets",
                "sample_probes",
                "open_probes",
                "read_probes",
                "write_probes",
            ),
            "settings": ("InfluenceSettings", "PilotSettings"),
            "two_pass": ("PairInfluence", "pair_influence"),
        },
    )

__all__ = [
    "InfluenceSettings",
    "PairInfluence",
    "Pilot",
    "PilotSettings",
    "Probe",
    "ProbeSet",
    "ProbeSets",
    "mean_margins",
    "open_probes",
    "pair_influence",
    "read_probes",
    "run_pilot",
    "safety_influence",
    "safety_influence_of",
    "sample_probes",
    "write_probes",
]
