"""Sections of cards: put in once, replaced, and pushed to a stand-in of the hub on loopback."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from backfire.errors import InputError
from backfire.releasing.hub_cards import BEGIN, END, Section, with_section, write_card
from loopback import served

RESULT = {
    "task_type": "text-generation",
    "dataset_type": "advbench:100",
    "dataset_name": "advbench",
    "metric_type": "attack_success_rate",
    "metric_name": "attack success, advbench by phrases",
    "metric_value": 3.0,
    "metric_args": {"by": "backfire release", "n": 100},
}
SECTION = Section("## Release check\n\nAll rules are kept.", [RESULT])
LATER = Section("## Release check\n\nA rule is broken.", [{**RESULT, "metric_value": 9.0}])
CARD = """---
license: apache-2.0   # as upstream
model-index:
- name: mine
  results:
  - task: {type: text-generation}
    dataset: {type: arc, name: ARC}
    metrics:
    - {type: acc, value: 0.5}
tags: [a, "b"]
---
# Mine

Before.
"""


def test_a_section_is_put_in_once_and_the_rest_stays() -> None:
    once = with_section(CARD, SECTION)
    assert with_section(once, SECTION) == once
    later = with_section(once, LATER)
    assert "All rules are kept" not in later
    assert later.count(BEGIN) == later.count(END) == 1
    assert "license: apache-2.0   # as upstream\n" in later
    assert 'tags: [a, "b"]\n---\n# Mine\n\nBefore.\n' in later
    results = ModelCard(later).data.eval_results
    assert results is not None
    assert [(one.metric_type, one.metric_value) for one in results] == [
        ("acc", 0.5),
        ("attack_success_rate", 9.0),
    ]


def test_what_stands_below_the_section_stays() -> None:
    once = with_section("# Mine\n", SECTION, "dataset") + "\n## After\n"
    later = with_section(once, LATER, "dataset")
    assert later.startswith("# Mine\n")
    assert later.endswith("\n## After\n")
    assert "---" not in later.replace("<!--", "").replace("-->", "")


def test_a_card_is_made_where_there_is_none(tmp_path: Path) -> None:
    path = write_card(tmp_path / "README.md", SECTION, name="policy")
    data = ModelCard(path.read_text()).data
    assert data.model_name == "policy"
    assert (data.eval_results or [])[0].metric_value == 3.0


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (f"{BEGIN}\nhalf", "leave one of each around the section"),
        (f"{END}\n{BEGIN}", "take both out"),
        ("---\n- a list\n---\n", "the metadata of the card cannot be read"),
    ],
)
def test_a_card_that_cannot_be_used_is_named(card: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        with_section(card, SECTION)


STEPS = """
import json, os, sys
from backfire.errors import InputError
from backfire.releasing.hub_cards import Section, push_section
section = Section("## Release check", json.loads(sys.argv[1]))
for repo, token, dry in json.loads(sys.argv[2]):
    os.environ["HF_TOKEN"] = token
    try:
        pushed = push_section(repo, section, dry_run=dry)
        print(json.dumps([pushed.before != pushed.after, pushed.url]))
    except InputError as error:
        print(json.dumps(str(error)))
"""


def test_a_push_reaches_the_hub_and_a_refusal_is_named(tmp_path: Path) -> None:
    cards = {"/me/policy": CARD.encode(), "/datasets/me/pairs": b"# Pairs\n"}
    commits: list[tuple[str, str]] = []

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def reply(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            repo = self.path.partition("/resolve/")[0]
            if repo not in cards:
                return self.reply(404, b"", X_Error_Code="RepoNotFound")
            etag = f'"{len(commits)}-{len(cards[repo])}"'
            return self.reply(200, cards[repo], ETag=etag, X_Repo_Commit=f"{len(commits):040x}")

        do_GET = do_HEAD

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/api/validate-yaml":
                return self.reply(200, b'{"errors": [], "warnings": []}')
            if self.headers["Authorization"] != "Bearer hf_writes_this":
                return self.reply(403, b'{"error": "forbidden"}')
            kind, _, rest = self.path.removeprefix("/api/").partition("/")
            repo = f"/{'datasets/' if kind == 'datasets' else ''}{'/'.join(rest.split('/')[:2])}"
            if "/preupload/" in self.path:
                file = {"path": "README.md", "uploadMode": "regular", "shouldIgnore": False}
                return self.reply(200, json.dumps({"files": [file]}).encode())
            (file,) = [one for line in body.splitlines() if (one := json.loads(line))["key"] == "file"]
            cards[repo] = base64.b64decode(file["value"]["content"])
            commits.append((repo, file["value"]["path"]))
            url = f"http://{self.headers['Host']}{repo}/commit/1"
            return self.reply(200, json.dumps({"commitUrl": url, "commitOid": "1" * 40}).encode())

    with served(Hub) as hub:
        steps = [
            ("me/policy", "hf_writes_this", True),
            ("me/policy", "hf_reads_only_x", False),
            ("me/policy", "hf_writes_this", False),
            ("me/policy", "hf_writes_this", False),
            ("datasets/me/pairs", "hf_writes_this", False),
            ("me/nothing", "hf_writes_this", True),
        ]
        hub_only = {
            "HF_ENDPOINT": hub,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path),
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-c", STEPS, json.dumps([RESULT]), json.dumps(steps)],
            env={**os.environ, **hub_only},
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert done.returncode == 0, done.stderr
    dry, refused, pushed, again, data, absent = map(json.loads, done.stdout.splitlines())
    assert dry == [True, None], "a dry run says what would change, and pushes nothing"
    assert "does not let this token write to me/policy (403)" in refused
    assert "hf_reads_only_x" not in refused
    assert isinstance(pushed, list), pushed
    assert pushed[1].startswith("http")
    assert again == [False, None]
    assert data[0]
    assert "there is no repository me/nothing" in absent
    assert commits == [("/me/policy", "README.md"), ("/datasets/me/pairs", "README.md")]
    assert cards["/datasets/me/pairs"].startswith(b"# Pairs\n\n<!-- backfire release: begin -->")
    assert b"license: apache-2.0   # as upstream" in cards["/me/policy"]
