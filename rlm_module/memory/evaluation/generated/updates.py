"""What is so until it changes: the newest statement holds."""

from __future__ import annotations

from rlm_module.memory.evaluation.generated.topics import Topic

UPDATES = (
    Topic(
        name="city",
        asked=("In which city do I {live|reside} {now|at present}?",),
        asked_before=("In which city did I {live|reside} before the present one?",),
        said=(
            "The removal van is empty and so am I: {value} it is, with boxes up to the ceiling.",
            "Keys in hand, boxes everywhere, and the removal men gone: hello {value}.",
        ),
        of_others=("My {relative} sits among boxes in {value}; the removal men broke a lamp.",),
        values=("Leeds", "Bristol", "Cardiff", "Glasgow", "Norwich", "Exeter", "Durham", "Swansea"),
    ),
    Topic(
        name="position",
        asked=("What is my {current|present} position at work?",),
        asked_before=("What was my position at work before the {current|present} one?",),
        said=(
            "They {promoted|moved} me: from Monday my badge says {value}.",
            "New badge, new title: {value}. The boss made a speech.",
        ),
        of_others=("My {relative}'s badge says {value}, after the boss made a speech.",),
        values=("archivist", "surveyor", "purchaser", "auditor", "dispatcher", "editor", "trainer", "planner"),
    ),
    Topic(
        name="phone",
        asked=("Which {mobile|handset} do I use {now|at present}?",),
        asked_before=("Which {mobile|handset} did I use before the present one?",),
        said=(
            "Swapped the SIM over: from today a {value} sits in my pocket, screen still spotless.",
            "The old screen cracked for good, so the SIM went into a {value}.",
        ),
        of_others=("My {relative} cracked the screen of a {value} and cried over the SIM.",),
        values=("Pixel", "Galaxy", "Fairphone", "Xperia", "Moto", "Nord", "Honor"),
    ),
    Topic(
        name="novel",
        asked=("Which {novel|book} am I reading {now|at the moment}?",),
        asked_before=("Which {novel|book} was I reading before the present one?",),
        said=(
            "Put the last one back on the shelf; {value} lies on my nightstand, forty pages in.",
            "My bookmark has moved house: it is in {value}, chapter three, and I cannot sleep.",
        ),
        of_others=("My {relative} put {value} on the nightstand with the bookmark at chapter one.",),
        values=("Middlemarch", "Dracula", "Ivanhoe", "Emma", "Ulysses", "Rebecca", "Persuasion", "Villette"),
    ),
    Topic(
        name="language",
        asked=("Which foreign language am I studying {now|at present}?",),
        asked_before=("Which foreign language was I studying before the present one?",),
        said=(
            "Gave up on the other evening course; my flashcards are {value} from this week, grammar included.",
            "The grammar and the flashcards on my table are {value} ones since the {start of term|holidays}.",
        ),
        of_others=("My {relative} mutters {value} grammar over a heap of flashcards.",),
        values=("Finnish", "Korean", "Portuguese", "Swahili", "Greek", "Welsh", "Turkish", "Hungarian"),
    ),
    Topic(
        name="diet",
        asked=("What diet am I on {now|at present}?",),
        asked_before=("What diet was I on before the present one?",),
        said=(
            "From Monday on my plate is {value}, and the fridge has been purged to match.",
            "Purged the fridge: meals are {value} from here on, wish me luck.",
        ),
        of_others=("My {relative} purged the fridge and preaches {value} meals to everybody.",),
        values=("vegan", "keto", "pescatarian", "gluten-free", "vegetarian", "paleo", "low-sodium"),
    ),
    Topic(
        name="flatmate",
        asked=("Who shares my flat {now|at present}?",),
        asked_before=("Who shared my flat before the present one?",),
        said=(
            "The spare key went to {value}, whose boxes fill the second bedroom.",
            "{value} has taken the second bedroom, pays half the rent and owns a waffle iron.",
        ),
        of_others=("My {relative} gave the second bedroom to {value} for half the rent.",),
        values=("Casper", "Daria", "Emeka", "Hanne", "Luca", "Priya", "Tobias", "Yuki"),
    ),
    Topic(
        name="commute",
        asked=("By what means do I {commute|travel to work} {now|these days}?",),
        asked_before=("By what means did I {commute|travel to work} before the present one?",),
        said=(
            "The office and back takes me forty minutes by {value} since this week, door to door.",
            "Door to door by {value} from today on, and I reach the office almost awake.",
        ),
        of_others=("My {relative} reaches the office door to door by {value}.",),
        values=("tram", "bicycle", "ferry", "scooter", "bus", "train", "carpool"),
    ),
)
