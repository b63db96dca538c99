"""A recipe: which roles write each side of a pair, and how one response is picked out of several."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from backfire.errors import InputError, setting
from backfire.settings.yaml_files import parse_yaml

Pick = Literal["first", "best", "worst"]
Labels = Literal["as-picked", "reversed", "random"]
Role = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]*$", strict=True)]


class Side(BaseModel):
    """One side of a pair."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    roles: Annotated[tuple[Role, ...], Field(alias="from", min_length=1)]
    """The roles whose responses are candidates, `from` in the file. Several make one pool."""
    pick: Pick = "first"
    """`first`: the lowest sample index; `best`, `worst`: by the reward model's score."""

    @property
    def ranked(self) -> bool:
        """Whether a reward model picks."""
        return self.pick != "first"


class Recipe(BaseModel):
    """How a pair's two sides are chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    chosen: Side
    rejected: Side
    labels: Labels = "as-picked"
    """`reversed`: the two sides change places once both are picked; `random`: where a coin from the prompt's id says so."""
    about: str = ""

    @model_validator(mode="after")
    def _sides_differ(self) -> Recipe:
        if self.chosen.pick == self.rejected.pick and set(self.chosen.roles) == set(self.rejected.roles):
            raise ValueError(
                f"chosen and rejected both pick the {self.chosen.pick} of the same roles, so every pair "
                "would be identical: change `pick` or `from` on one side"
            )
        return self

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role of both sides, once, in the file's order."""
        return tuple(dict.fromkeys(self.chosen.roles + self.rejected.roles))

    @property
    def meaning(self) -> tuple[Side, Side, Labels]:
        """What decides its pairs: all but its name and what is said about it."""
        return self.chosen, self.rejected, self.labels

    @property
    def one_pool(self) -> bool:
        """Whether both sides are picked from the same candidates."""
        return set(self.chosen.roles) == set(self.rejected.roles)

    @property
    def needs_scores(self) -> bool:
        """Whether a reward model's scores are needed."""
        return self.chosen.ranked or self.rejected.ranked

    def as_dict(self) -> dict[str, object]:
        """The recipe as its file states it, with its name; `labels` only where it is not `as-picked`."""
        stated = self.model_dump(mode="json", by_alias=True)
        if self.labels == "as-picked":
            del stated["labels"]
        return stated


@cache
def built_in_recipes() -> dict[str, Recipe]:
    """The seven recipes of arXiv 2504.02193, by name."""
    text = files("backfire.pairs").joinpath("recipes.yaml").read_text(encoding="utf-8")
    return _parse(text, "recipes.yaml")


def load_recipes(path: str | Path | None = None) -> dict[str, Recipe]:
    """The built-in recipes by name, followed by those of the YAML file at `path`.

    A file may repeat a built-in recipe word for word, but not give its name another meaning: results under
    one name must stay comparable.

    Raises:
        InputError: an unreadable file, or a recipe in it that cannot be used; names recipe, key and fix.
    """
    recipes = dict(built_in_recipes())
    if path is None:
        return recipes
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"recipes file {path} cannot be read ({error}): name a YAML file") from error
    for name, recipe in _parse(text, str(path)).items():
        known = recipes.get(name)
        if known is not None and known.meaning != recipe.meaning:
            raise InputError(
                f"recipe {name!r} in {path} has the name of a built-in recipe and another meaning: "
                "give it a name of its own"
            )
        recipes[name] = recipe
    return recipes


def find_recipe(name: str, recipes: dict[str, Recipe] | None = None) -> Recipe:
    """The recipe of this name, among `recipes` or the built-in ones; InputError lists those there are."""
    known = built_in_recipes() if recipes is None else recipes
    if name not in known:
        raise InputError(
            f"there is no recipe {name!r}: choose among {', '.join(known)}, or add it by a file of your own ({setting('recipes')})"
        )
    return known[name]


def _parse(text: str, origin: str) -> dict[str, Recipe]:
    content = parse_yaml(text, f"recipes file {origin}")
    if not isinstance(content, dict) or not content:
        raise InputError(f"recipes file {origin} holds no recipes: it maps a name to `chosen` and `rejected`")
    return {str(name): _recipe(str(name), body, origin) for name, body in content.items()}


def _recipe(name: str, body: object, origin: str) -> Recipe:
    if not isinstance(body, dict) or "name" in body:
        raise InputError(
            f"recipe {name!r} in {origin} is not of the form "
            "{chosen: {from: [role], pick: first}, rejected: {from: [role], pick: first}}"
        )
    try:
        return Recipe.model_validate({"name": name, **body})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        where = f"recipe {name!r}, key {key!r}" if key else f"recipe {name!r}"
        raise InputError(
            f"{where} in {origin}: {_fix(first['type'], key, first['msg'], first['input'])}"
        ) from error


def _fix(kind: str, key: str, message: str, value: object) -> str:
    if kind == "extra_forbidden":
        allowed = "from, pick" if "." in key else "chosen, rejected, labels, about"
        return f"unknown key: use {allowed}"
    if kind == "missing":
        return "missing: add it, such as " + (
            "[self]" if key.endswith("from") else "{from: [self], pick: first}"
        )
    if key.endswith("pick"):
        return f"{value!r} is not a way to pick: use one of {', '.join(get_args(Pick))}"
    if key == "labels":
        return f"{value!r} is not a way to label: use one of {', '.join(get_args(Labels))}"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if ".from" in key:
        return f"{value!r} is not a list of role names: write it like [self] or [self, peer]"
    return f"{value!r}: {message}"
