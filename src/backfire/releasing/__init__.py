"""May a candidate replace its base? Both are asked the same, and what they answer is held against written rules."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.releasing.checking import release
    from backfire.releasing.rules_file import read_rules, rules_schema
    from backfire.releasing.settings import ReleaseRules, ReleaseSettings, Rule, VerifySettings
    from backfire.releasing.verifying import verify_release
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "checking": ("release",),
            "rules_file": ("read_rules", "rules_schema"),
            "settings": ("ReleaseRules", "ReleaseSettings", "Rule", "VerifySettings"),
            "verifying": ("verify_release",),
        },
    )

__all__ = [
    "ReleaseRules",
    "ReleaseSettings",
    "Rule",
    "VerifySettings",
    "read_rules",
    "release",
    "rules_schema",
    "verify_release",
]
