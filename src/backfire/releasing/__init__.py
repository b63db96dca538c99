"""May a candidate replace its base? Both are asked the same, and what they answer is held against written rules."""

from typing import TYPE_CHECKING

from backfire.loading import lazily

if TYPE_CHECKING:
    from backfire.releasing.checking import release
    from backfire.releasing.hub_cards import Section, push_section, with_section, write_card
    from backfire.releasing.rules_file import read_rules, rules_schema
    from backfire.releasing.settings import CardSettings, ReleaseRules, ReleaseSettings, Rule, VerifySettings
    from backfire.releasing.verifying import verify_release
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "checking": ("release",),
            "hub_cards": ("Section", "push_section", "with_section", "write_card"),
            "rules_file": ("read_rules", "rules_schema"),
            "settings": ("CardSettings", "ReleaseRules", "ReleaseSettings", "Rule", "VerifySettings"),
            "verifying": ("verify_release",),
        },
    )

__all__ = [
    "CardSettings",
    "ReleaseRules",
    "ReleaseSettings",
    "Rule",
    "Section",
    "VerifySettings",
    "push_section",
    "read_rules",
    "release",
    "rules_schema",
    "verify_release",
    "with_section",
    "write_card",
]
