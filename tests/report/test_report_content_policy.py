"""Every page loads nothing, sends nothing, and takes no other address for its links."""

from __future__ import annotations

from pathlib import Path

import pytest

import backfire.report

PAGES = sorted(Path(backfire.report.__file__).parent.rglob("page.html.jinja"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_policy_of_a_page(page: Path) -> None:
    head = page.read_text(encoding="utf-8").partition("</head>")[0]
    policy = head.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    parts = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert parts["default-src"] == parts["base-uri"] == parts["form-action"] == ["'none'"]
    scripts = " ".join(parts.get("script-src", []))
    assert scripts in ("", "'{{ script.digest }}'", "'{{ script.digest }}'{% endif %}")
