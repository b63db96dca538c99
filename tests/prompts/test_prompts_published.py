"""Published prompt sets: fetched over loopback, pinned by content, found in folders; and prompts by whatever names them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from backfire.errors import InputError
from backfire.prompts import PromptSet, is_prompt_set, open_prompt_set, open_prompts, prompt_sets
from backfire.prompts.published import FOLDER, content_digest, fetch, find_file
from backfire.records import Prompt
from backfire.store import read_prompts
from backfire.tables import read_rows
from loopback import served

MODULE = import_module("backfire.prompts.published")
GOALS = ["Bend a spoon.", "Löffel, biegen?", "Fly a kite."]
CSV = 'goal,shape\nBend a spoon.,round\n" Löffel, biegen? ",round\nFly a kite.,flat\n'


@dataclass
class Publisher:
    """A web server with one file."""

    url: str = ""
    content: bytes = CSV.encode()
    status: int = 200
    raw: bytes | None = None
    agents: list[str] = field(default_factory=list)


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    kept = Publisher()

    class File(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            kept.agents.append(self.headers["user-agent"])
            if kept.raw is not None:
                self.wfile.write(kept.raw)
                return
            self.send_response(kept.status)
            self.send_header("content-length", str(len(kept.content)))
            self.end_headers()
            self.wfile.write(kept.content)

    with served(File) as address:
        kept.url = f"{address}/shapes.csv"
        yield kept


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(FOLDER, raising=False)
    return tmp_path / "cache" / "backfire" / "prompts"


@pytest.fixture
def shapes(publisher: Publisher, cache: Path, monkeypatch: pytest.MonkeyPatch) -> PromptSet:
    """A set of three prompts that goes by the name `shapes`."""
    made = PromptSet(
        "shapes", "shapes", publisher.url, ("shapes.csv", "forms.csv"), "goal", "harmful", 3,
        content_digest(GOALS), "MIT", "Nobody 2020",
    )  # fmt: skip
    monkeypatch.setattr(MODULE, "prompt_sets", lambda: {"shapes": made})
    return made


def test_a_set_is_fetched_once_and_kept(shapes: PromptSet, publisher: Publisher, cache: Path) -> None:
    assert find_file(shapes) is None
    prompts = open_prompt_set("shapes")
    assert [p.text for p in prompts] == GOALS
    assert {p.kind for p in prompts} == {"harmful"}
    assert [dict(p.tags) for p in prompts] == [
        {"set": "shapes", "source": "Nobody 2020", "row": str(n)} for n in (1, 2, 3)
    ]
    assert [path.name for path in cache.iterdir()] == ["shapes.csv"]
    assert (cache / "shapes.csv").read_bytes() == CSV.encode()
    assert open_prompt_set("shapes") == prompts
    assert publisher.agents == ["backfire"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("goal\nBend a spoon.\nFly a kite.\n", "holds 2 prompts that are not the 3 of shapes"),
        ("goal\nFly a kite.\nBend a spoon.\n\"Löffel, biegen?\"\n", "holds 3 prompts that are not the 3 of shapes"),
        ("aim\nBend a spoon.\n", "no column 'goal'"),
        ("goal\n", "no row of this set"),
        ("goal\na,b\n", "row 1 has more cells"),
        ("<html>", "is a web page"),
    ],
)  # fmt: skip
def test_another_content_is_refused_and_not_kept(
    shapes: PromptSet, publisher: Publisher, cache: Path, content: str, message: str
) -> None:
    publisher.content = content.encode()
    with pytest.raises(InputError, match=message):
        open_prompt_set("shapes")
    assert list(cache.iterdir()) == []
    publisher.content = CSV.encode()
    assert len(open_prompt_set("shapes")) == 3


def test_a_file_that_is_too_large_is_refused(
    shapes: PromptSet, publisher: Publisher, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(publisher.content)
    monkeypatch.setattr(MODULE, "LARGEST", size - 1)
    with pytest.raises(InputError, match=rf"sent more than {size - 1} bytes: that is not shapes"):
        open_prompt_set("shapes")
    assert list(cache.iterdir()) == []
    monkeypatch.setattr(MODULE, "LARGEST", size)
    assert len(open_prompt_set("shapes")) == 3


@pytest.mark.parametrize(
    "raw", [None, b"what is this?\r\n\r\n", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfff\r\ngo"]
)
def test_a_publisher_that_fails_is_named_with_the_way_around(
    shapes: PromptSet, publisher: Publisher, cache: Path, raw: bytes | None
) -> None:
    publisher.status, publisher.raw = 404, raw
    with pytest.raises(InputError) as caught:
        open_prompt_set("shapes:2")
    said = str(caught.value)
    for part in (publisher.url, "put the file as shapes.csv into a folder", "prompts_dir", FOLDER):
        assert part in said
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/shapes.csv", "no address"])
def test_nobody_at_the_address(shapes: PromptSet, tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match=f"shapes cannot be fetched from {url}"):
        fetch(replace(shapes, url=url), tmp_path / "new" / "shapes.csv")
    assert list((tmp_path / "new").iterdir()) == []


def test_the_first_of_a_set(shapes: PromptSet) -> None:
    whole = open_prompt_set("shapes")
    assert open_prompt_set("shapes:1") == whole[:1]
    assert open_prompt_set("shapes:2") == whole[:2]
    assert open_prompt_set("shapes:3") == whole
    for wrong in ("shapes:0", "shapes:4", "shapes:-1", "shapes:two", "shapes:1.5"):
        with pytest.raises(
            InputError, match=f"{wrong}: shapes has 3 prompts; write shapes:N with N from 1 to 3"
        ):
            open_prompt_set(wrong)


def test_a_folder_is_looked_into_first(
    shapes: PromptSet, publisher: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, other = tmp_path / "named", tmp_path / "other"
    for folder in (named, other, cache):
        folder.mkdir(parents=True)
    (cache / "shapes.csv").write_text(CSV, encoding="utf-8")
    (other / "forms.csv").write_text(CSV, encoding="utf-8")
    assert find_file(shapes) == cache / "shapes.csv"
    monkeypatch.setenv(FOLDER, str(other))
    assert find_file(shapes) == other / "forms.csv"
    assert find_file(shapes, named) == cache / "shapes.csv", "the folder that is named beats the variable"
    (named / "forms.csv").write_text("goal\nHum.\n", encoding="utf-8")
    assert len(open_prompt_set("shapes")) == 3
    with pytest.raises(InputError, match=r"forms\.csv holds 1 prompts .* give the file itself .*column goal"):
        open_prompt_set("shapes", folder=named)
    (named / "shapes.csv").write_text(CSV, encoding="utf-8")
    assert len(open_prompt_set("shapes", folder=named)) == 3
    assert publisher.agents == []


def test_a_folder_that_is_none(shapes: PromptSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prompts_dir .*nowhere is no folder"):
        open_prompt_set("shapes", folder=tmp_path / "nowhere")


def test_parts_and_contexts(shapes: PromptSet, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(
        'goal,shape,text\nBend.,round,\nFly.,flat," A kite.\n"\nHum.,round,A song.\n', encoding="utf-8"
    )
    texts = ["Bend.", "A song.\n\n---\n\nHum."]
    part = replace(shapes, where={"shape": ["round", "oval"]}, context="text", digest=content_digest(texts))
    assert [p.text for p in part.prompts_in(tmp_path / "f.csv")] == texts
    with pytest.raises(InputError, match="no row of this set"):
        replace(part, where={"shape": ["oval"]}).prompts_in(tmp_path / "f.csv")
    with pytest.raises(InputError, match="no column 'words'"):
        replace(part, context="words").prompts_in(tmp_path / "f.csv")


def test_the_digest_is_of_texts_in_their_order() -> None:
    assert content_digest(["a", "b"]) == content_digest(("a", "b"))
    assert len({content_digest(t) for t in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""])}) == 4


def test_what_is_a_set(shapes: PromptSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_prompt_set("shapes")
    assert is_prompt_set("shapes:2")
    assert not is_prompt_set("forms")
    assert not is_prompt_set("./shapes")
    with pytest.raises(InputError, match="no prompt set 'forms': give a file, or one of shapes"):
        open_prompt_set("forms")
    (tmp_path / "shapes").write_text("a file")
    assert not is_prompt_set("shapes"), "a file of that name is meant"


def test_a_folder_of_a_sets_name_does_not_hide_the_set(
    shapes: PromptSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shapes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert is_prompt_set("shapes")
    assert [p.text for p in open_prompts("shapes").prompts] == GOALS


def test_the_shipped_list_names_where_each_set_comes_from() -> None:
    sets = prompt_sets()
    assert {"advbench", "harmbench", "jailbreakbench", "strongreject", "xstest-safe"} <= set(sets)
    for name, one in sets.items():
        assert one.name == name
        assert one.url.startswith("https://")
        assert one.kind in ("harmful", "benign")
        assert one.rows > 0
        assert all((one.licence, one.source, one.about, one.files))
    assert len({one.digest for one in sets.values()}) == len(sets)
    assert {name for name, one in sets.items() if one.kind == "benign"} == {
        "jailbreakbench-benign",
        "xstest-safe",
    }


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("advbench", "prompts"),
        ("jailbreakbench", "prompts"),
        ("jailbreakbench-benign", "prompts"),
        ("simple-safety-tests", "prompts"),
        ("xstest-safe", "xstest"),
        ("xstest-unsafe", "xstest"),
    ],
)
def test_published_files_hold_what_is_pinned(real_data: Path, cache: Path, name: str, folder: str) -> None:
    prompts = open_prompt_set(name, folder=real_data / folder)
    assert len(prompts) == prompt_sets()[name].rows
    assert {p.kind for p in prompts} == {prompt_sets()[name].kind}
    assert len({p.id for p in prompts}) == len(prompts)
    assert not cache.exists()


def hub(monkeypatch: pytest.MonkeyPatch, splits: dict[str, list[dict[str, Any]]]) -> list[Any]:
    """Stand in for the hub: these splits, whatever is asked for; the arguments are kept."""
    import datasets

    asked: list[Any] = []

    def load_dataset(*args: Any, **options: Any) -> Any:
        asked.append((args, options))
        made = {name: datasets.Dataset.from_list(rows) for name, rows in splits.items()}
        return made[options["split"]] if options["split"] else datasets.DatasetDict(made)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


@pytest.mark.parametrize(
    ("reference", "name", "config", "split", "revision"),
    [
        ("hub:some-one/set.v2", "some-one/set.v2", None, None, None),
        ("hub:o/n:test", "o/n", None, "test", None),
        ("hub:o/n:c-1/test", "o/n", "c-1", "test", None),
        ("hub:o/n@v2", "o/n", None, None, "v2"),
        ("hub:o/n@refs/pr/3:c/test", "o/n", "c", "test", "refs/pr/3"),
        ("hub:o/n@0a1b:test", "o/n", None, "test", "0a1b"),
    ],
)
def test_a_hub_reference_reaches_datasets(
    monkeypatch: pytest.MonkeyPatch,
    reference: str,
    name: str,
    config: str | None,
    split: str | None,
    revision: str | None,
) -> None:
    asked = hub(monkeypatch, {"train": [{"goal": "Bend.", "n": 1}], "test": [{"goal": "Fly.", "n": 2}]})
    rows = read_rows(reference)
    assert asked == [((name, config), {"split": split, "revision": revision})]
    assert rows == ([{"goal": "Fly.", "n": 2}] if split else [{"goal": "Bend.", "n": 1}])


def test_without_a_train_split_the_only_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, {"harmful": [{"goal": "Bend."}]})
    assert read_rows("hub:o/n") == [{"goal": "Bend."}]
    hub(monkeypatch, {"harmful": [{"goal": "Bend."}], "benign": [{"goal": "Fly."}]})
    with pytest.raises(InputError, match=r"has the splits harmful, benign and no train: name one"):
        read_rows("hub:o/n")


@pytest.mark.parametrize(
    "reference", ["hub:", "hub:name", "hub:o/n/m", "hub:o/n:", "hub:o/n@", "hub:o/n:a/b/c", "hub:o n/m"]
)
def test_a_hub_reference_of_another_form(monkeypatch: pytest.MonkeyPatch, reference: str) -> None:
    asked = hub(monkeypatch, {"train": [{"goal": "Bend."}]})
    with pytest.raises(InputError, match=r"names no data set on the hub: write hub:OWNER/NAME\[@REVISION\]"):
        read_rows(reference)
    assert asked == []


def test_a_hub_that_is_not_reached_is_named() -> None:
    with pytest.raises(
        InputError, match=r"nobody-at-all/none is neither a file here nor .*\(\w+: .*check the name"
    ):
        read_rows("hub:nobody-at-all/none")


def test_prompts_by_whatever_names_them(
    shapes: PromptSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = open_prompts("shapes:2", kind="benign", column="nothing")
    assert [(p.text, p.kind) for p in found.prompts] == [(text, "harmful") for text in GOALS[:2]]

    found = open_prompts("organism:prompts/borderline")
    assert len(found.prompts) == 120
    assert {p.kind for p in found.prompts} == {"benign"}

    asked = hub(monkeypatch, {"harmful": [{"Goal": "Bend.", "Target": "Take"}, {"Goal": " "}]})
    found = open_prompts("hub:o/n:harmful", kind="harmful")
    assert found.prompts == (Prompt.of("Bend.", kind="harmful"),)
    assert (found.column, dict(found.left_out)) == ("Goal", {"blank": 1})
    assert found.prompts[0].tags == {"Target": "Take"}
    assert len(asked) == 1

    (tmp_path / "mine.csv").write_text("aim,prompt\nFly.,Hum.\n")
    found = open_prompts("mine.csv", column="aim", kind="benign")
    assert found == read_prompts("mine.csv", column="aim", kind="benign")
    assert [(p.text, p.kind) for p in found.prompts] == [("Fly.", "benign")]
    (tmp_path / "forms").mkdir()
    with pytest.raises(InputError, match="forms holds no data set"):
        open_prompts("forms")
