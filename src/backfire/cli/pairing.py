"""`pair` and `recipes`: from stored responses to preference pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfire.cli import options
from backfire.cli.collecting import chosen_sources, score_stored
from backfire.cli.exits import PARTLY
from backfire.cli.prompts import open_prompts
from backfire.cli.terminal import counted, say, show, table, warn

if TYPE_CHECKING:
    from backfire.pairs import Built, Recipe
    from backfire.records import Decoding, Prompt, Response
    from backfire.store import Ledger

CHOOSE = "Choosing among several draws of one source"
HUMAN_ROLES = ("human-chosen", "human-rejected")

RecipesFile = Annotated[
    Path | None, typer.Option("--recipes", metavar="FILE", help="A YAML file with recipes of your own.")
]


@dataclass(frozen=True)
class Wanted:
    """Which draw of a source is meant, where it has several."""

    seed: int | None
    temperature: float | None
    max_new_tokens: int | None
    model_id: str | None

    def meets(self, response: Response) -> bool:
        drawn = response.decoding
        return (
            (self.seed is None or response.seed == self.seed)
            and (self.temperature is None or (drawn is not None and drawn.temperature == self.temperature))
            and (
                self.max_new_tokens is None
                or (drawn is not None and drawn.max_new_tokens == self.max_new_tokens)
            )
            and (self.model_id is None or response.model_id.startswith(self.model_id))
        )


def pair(
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME", help="See `backfire recipes` for those there are.")
    ],
    ledger: options.LedgerFile,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="The folder of pairs, which TRL and datasets read."),
    ],
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            metavar="ROLE=SOURCE",
            help="Whose responses play a role, such as self=./my-sft; repeatable, also for one role.",
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="Build pairs for these, a file or organism:prompts/NAME; else for all that were answered.",
        ),
    ] = None,
    column: options.PromptColumn = None,
    split: options.PromptSplit = None,
    encoding: options.TableEncoding = None,
    human: Annotated[
        str | None,
        typer.Option(
            "--human",
            metavar="FILE",
            help="Human-labelled preference data in any form that `backfire audit` reads, or organism:human, for the human "
            "roles.",
        ),
    ] = None,
    human_columns: Annotated[
        str | None,
        typer.Option(
            "--human-columns", metavar="ROLE=NAME,...", help="Its columns, as --columns of `backfire audit`."
        ),
    ] = None,
    human_split: Annotated[
        str | None, typer.Option("--human-split", metavar="NAME", help="Its split, where it has several.")
    ] = None,
    reward_model: Annotated[
        str | None,
        typer.Option(
            "--reward-model",
            metavar="MODEL",
            help="Whose scores to rank by; responses that it has not scored yet are scored now.",
        ),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            "--scorer",
            metavar="ID",
            help="Whose stored scores to rank by, opening no model. Not needed where only one has scored.",
        ),
    ] = None,
    recipes: RecipesFile = None,
    truncated: Annotated[
        str,
        typer.Option(
            "--truncated", metavar="keep|drop", help="Whether truncated responses may enter a pair."
        ),
    ] = "keep",
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", rich_help_panel=CHOOSE, help="Where a source has several draws: that with this seed."
        ),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", rich_help_panel=CHOOSE, help="Likewise.")
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", rich_help_panel=CHOOSE, help="Likewise.")
    ] = None,
    model_id: Annotated[
        str | None,
        typer.Option(
            "--model-id", metavar="ID", rich_help_panel=CHOOSE, help="Likewise; its beginning is enough."
        ),
    ] = None,
) -> None:
    """Build preference pairs from stored responses by a recipe.

    Roles are sources in the ledger: the names that `sample`, `import` and `score` print. Prompts that give no
    pair are counted by reason. Exit code 1 where there is no pair at all.
    """
    from backfire.errors import InputError
    from backfire.pairs import build_pairs, find_recipe, load_recipes, write_pairs
    from backfire.store import Ledger

    chosen = find_recipe(recipe, load_recipes(recipes))
    _check_folder(out)
    roles = options.named(role or [], "--role")
    if reward_model is not None and scorer is not None:
        raise InputError("--reward-model and --scorer both say whose scores to use: give one of them")
    wanted = Wanted(seed, temperature, max_new_tokens, model_id)
    with Ledger(ledger) as store:
        asked = (
            None if prompts is None else open_prompts(prompts, column=column, split=split, encoding=encoding)
        )
        candidates = _candidates(store, roles, asked, wanted)
        if human is not None:
            candidates |= _human(human, store, options.reading(human_columns, None, None, human_split, None))
        _note_roles(chosen, candidates)
        used = {name: found for name, found in candidates.items() if name in chosen.roles}
        if asked is None:
            ids = sorted({r.prompt_id for found in used.values() for r in found})
            asked = list(store.prompts(ids).values())
        scores = _scores(store, chosen, used, {p.id for p in asked}, reward_model, scorer)
    built = build_pairs(chosen, asked, used, scores, truncated=truncated)  # type: ignore[arg-type]
    write_pairs(out, built)
    say_built(built, out)
    if not built.pairs:
        raise typer.Exit(PARTLY)


def _check_folder(out: Path) -> None:
    from backfire.errors import InputError

    if out.is_file():
        raise InputError(f"--out {out} is a file: name a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / "pairs.json").is_file():
        raise InputError(f"--out {out} holds something that is not pairs: name a new folder")


def _candidates(
    store: Ledger, roles: Sequence[tuple[str, str]], asked: Iterable[Prompt] | None, wanted: Wanted
) -> dict[str, list[Response]]:
    from backfire.errors import InputError

    if reserved := [name for name, _ in roles if name in HUMAN_ROLES]:
        raise InputError(f"--role {reserved[0]}: people's responses come from --human FILE")
    ids = None if asked is None else [p.id for p in asked]
    candidates: defaultdict[str, list[Response]] = defaultdict(list)
    if roles:
        chosen_sources(store, [source for _, source in roles])
    for name, source in roles:
        found = one_draw(source, store.responses_of(source, ids), wanted)
        if not found:
            warn(f"{source!r} answered none of the prompts")
        candidates[name] += found
    return dict(candidates)


def one_draw(source: str, responses: Sequence[Response], wanted: Wanted) -> list[Response]:
    """The responses of one draw (model, decoding, seed); InputError lists the draws where several are meant."""
    from backfire.errors import InputError

    if len(_draws(responses)) > 1:
        responses = [r for r in responses if wanted.meets(r)]
        if not responses:
            raise InputError(
                f"no response of {source!r} has the seed, decoding and model that the options ask for"
            )
    draws = _draws(responses)
    if len(draws) > 1:
        raise InputError(
            f"{source!r} has responses of {len(draws)} draws, which do not belong into one pool: "
            f"{_in_words(draws)}. Choose by --seed, --temperature, --max-new-tokens or --model-id, or name the "
            "--prompts"
        )
    return list(responses)


Draw = tuple[str, "Decoding | None", int | None]


def _draws(responses: Iterable[Response]) -> Counter[Draw]:
    return Counter((r.model_id, r.decoding, r.seed) for r in responses)


def _in_words(draws: Mapping[Draw, int]) -> str:
    """How many responses each draw has, and in what it differs from the others."""
    settings = [_settings(*draw) for draw in draws]
    names = dict.fromkeys(name for found in settings for name in found)
    differing = [name for name in names if len({found.get(name) for found in settings}) > 1]
    return "; ".join(
        f"{count} with " + ", ".join(f"{name} {found[name]}" for name in differing if name in found)
        for count, found in zip(draws.values(), settings, strict=True)
    )


def _settings(model_id: str, decoding: Decoding | None, seed: int | None) -> dict[str, str]:
    if decoding is None:
        return {"model id": model_id[:8], "no decoding,": "as they were given"}
    drawn = {name.replace("_", "-"): str(value) for name, value in decoding.as_dict().items()}
    return {"model id": model_id[:8], "seed": str(seed), **drawn}


def _human(reference: str, store: Ledger, how: Mapping[str, Any]) -> dict[str, list[Response]]:
    from backfire.study.inputs import open_human

    prompts, chosen, rejected, left_out = open_human(reference, **how)
    if left_out:
        warn(f"{reference}: rows left out: {counted(left_out)}")
    store.put_prompts(prompts)
    store.put_responses([*chosen, *rejected])
    return {"human-chosen": chosen, "human-rejected": rejected}


def _note_roles(recipe: Recipe, candidates: Mapping[str, object]) -> None:
    others = [name for name in candidates if name not in recipe.roles and name not in HUMAN_ROLES]
    if others:
        warn(f"{recipe.name} has no role {', '.join(others)}: its roles are {', '.join(recipe.roles)}")


def _scores(
    store: Ledger,
    recipe: Recipe,
    candidates: Mapping[str, Sequence[Response]],
    prompt_ids: set[str],
    reward_model: str | None,
    scorer: str | None,
) -> dict[str, float]:
    """The scores that the recipe ranks by; those of stored responses even where it needs none, as provenance."""
    from backfire.errors import InputError

    responses = [r for found in candidates.values() for r in found if r.prompt_id in prompt_ids]
    if reward_model is not None and responses:
        from backfire.models import open_reward_model

        return score_stored(open_reward_model(reward_model), responses, store)
    there = store.scorers()
    if scorer is not None:
        matching = [name for name in there if name.startswith(scorer)]
        if len(matching) != 1:
            raise InputError(
                f"--scorer {scorer} is {'none' if not matching else 'not a single one'} of those in {store.path}: "
                f"{', '.join(there) or 'nobody has scored'}"
            )
        return store.scores(matching[0], [r.id for r in responses])
    if len(there) > 1 and recipe.needs_scores:
        raise InputError(
            f"several reward models have scored in {store.path} ({', '.join(there)}): "
            "name one by --reward-model, or --scorer"
        )
    return store.scores(there[0], [r.id for r in responses]) if len(there) == 1 else {}


def say_built(built: Built, out: Path) -> None:
    """What was built, from whom, and what was left out and why."""
    from backfire.pairs import REASONS

    counts = built.counts
    kinds = {kind: counts[kind] for kind in ("harmful", "benign")}
    unknown = counts["built"] - sum(kinds.values())
    say(f"{built.recipe.name}: {counts['built']} pairs ({counted({**kinds, 'of unknown kind': unknown})})")
    for side in ("chosen", "rejected"):
        say(f"  {side} from: {counted(counts['sources'][side])}; truncated {counts['truncated'][side]}")
    for reason, count in counts["left_out"].items():
        say(f"  prompts left out: {count} {reason} ({REASONS[reason]})")
    if counts["responses_left_out"]:
        say(f"  responses that were no candidates: {counted(counts['responses_left_out'])}")
    for warning in built.warnings:
        warn(warning)
    say(f"in {out}: train.parquet, pairs.json")


def list_recipes(recipes: RecipesFile = None) -> None:
    """List the recipes: who writes each side, and how one response is picked."""
    from backfire.pairs import load_recipes

    shown = table("recipe", "chosen", "rejected", "about", left=4)
    for recipe in load_recipes(recipes).values():
        sides = [f"{side.pick} of {', '.join(side.roles)}" for side in (recipe.chosen, recipe.rejected)]
        shown.add_row(recipe.name, *sides, recipe.about)
    show(shown)
    say("first: the first sample; best, worst: by the reward model's score. Add your own by --recipes FILE.")
