"""Names of columns by which the forms of preference data are recognised. `tables.columns` says how names
are matched."""

from __future__ import annotations

from collections.abc import Sequence

from backfire.preferences.schema import SIDES
from backfire.tables.columns import PROMPT_COLUMNS

PROMPTS = (
    *PROMPT_COLUMNS,
    "input",
    "context",
    "history",
    "post",
    "request",
    "user_prompt",
    "user_input",
    "prompt_text",
    "problem",
    "info",
    "behavior",
)
"""The likeliest first: those of any file, and what preference data call it besides."""
SYSTEMS = ("system", "system_prompt", "system_message")
TEMPLATE = ("tools", "chat_template_kwargs")
"""What a chat template is given beside the turns."""
ALPACA = ("input", "history")
"""What stands beside an `instruction`."""
CONVERSATIONS = (
    "conversations",
    "messages",
    "conversation",
    "trajectory",
    "contents",
    "dialogue",
    "dialog",
    "chat",
    "chat_history",
    "conversation_history",
    "context_messages",
    "prompt_messages",
    "input_messages",
    "turns",
)
"""Lists of turns: the request's, or of all."""
PAIRS = (
    SIDES,
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
    ("chosen_responses", "rejected_responses"),
    ("chosen_completion", "rejected_completion"),
    ("chosen_answer", "rejected_answer"),
    ("chosen_output", "rejected_output"),
    ("chosen_message", "rejected_message"),
    ("chosen_messages", "rejected_messages"),
    ("chosen_conversations", "rejected_conversations"),
    ("response_j", "response_k"),
    ("better", "worse"),
    ("better_response", "worse_response"),
    ("preferred", "dispreferred"),
    ("preferred", "rejected"),
    ("preferred_response", "dispreferred_response"),
    ("accepted", "rejected"),
    ("winner_response", "loser_response"),
    ("response_w", "response_l"),
    ("y_w", "y_l"),
    ("positive", "negative"),
    ("good", "bad"),
    ("response", "rejected_response"),
    ("output", "rejected_output"),
    ("completion", "rejected_completion"),
    ("answer", "rejected_answer"),
)
SCORED_SIDES = (
    ("chosen_score", "rejected_score"),
    ("score_chosen", "score_rejected"),
    ("chosen_rating", "rejected_rating"),
    ("rating_chosen", "rating_rejected"),
    ("chosen_avg_rating", "rejected_avg_rating"),
    ("chosen_reward", "rejected_reward"),
    ("reward_chosen", "reward_rejected"),
    ("chosen_overall_score", "rejected_overall_score"),
    ("chosen_reward_score", "rejected_reward_score"),
    ("chosen_rm_score", "rejected_rm_score"),
    ("score_w", "score_l"),
)
"""What somebody gave either side: equal ones are a tie, and a higher one of the rejected side contradicts the label."""
TWO_RESPONSES = (
    ("response_0", "response_1"),
    ("response_1", "response_2"),
    ("response0", "response1"),
    ("response1", "response2"),
    ("response_a", "response_b"),
    ("conversation_a", "conversation_b"),
    ("human_ref_a", "human_ref_b"),
    ("answer_0", "answer_1"),
    ("answer_1", "answer_2"),
    ("answer0", "answer1"),
    ("answer1", "answer2"),
    ("answer_a", "answer_b"),
    ("output_0", "output_1"),
    ("output_1", "output_2"),
    ("output1", "output2"),
    ("output_a", "output_b"),
    ("completion_0", "completion_1"),
    ("completion_1", "completion_2"),
    ("completion1", "completion2"),
    ("completion_a", "completion_b"),
    ("candidate_1", "candidate_2"),
    ("candidate_a", "candidate_b"),
    ("response_left", "response_right"),
    ("model_a_response", "model_b_response"),
    ("text_a", "text_b"),
)
PREFERENCES = (
    "safer_response_id",
    "better_response_id",
    "preference_strength",
    "overall_preference",
    "winner",
    "preference",
    "preferred",
    "preferred_response",
    "choice",
    "choices",
    "labels",
    "label",
    "better",
    "better_response",
    "best",
    "chosen",
    "verdict",
    "comparison",
    "net_utility",
)
"""Which of two responses is preferred, the likeliest first."""
LISTS = (
    "answers",
    "completions",
    "responses",
    "generations",
    "generation",
    "outputs",
    "candidates",
    "candidate_responses",
    "texts",
    "all_responses",
    "all_generated_responses",
    "summaries",
)
"""Lists of responses."""
MEDIA = ("image", "images", "video", "videos", "audio", "audios")


def first_pair(named: dict[str, str], pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """The columns of the first pair of names that are both there."""
    return next(((named[a], named[b]) for a, b in pairs if a in named and b in named), None)
