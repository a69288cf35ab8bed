"""What users like, and requests that it decides."""

from __future__ import annotations

from rlm_module.memory.evaluation.generated.topics import Topic

TASTES = (
    Topic(
        name="seat",
        asked=("You are {booking|reserving} my place on the train. Which kind should it be?",),
        said=(
            "When I travel by rail I only relax in {value}; anything else and I count the stations.",
            "Long rail journeys are fine as long as the seat is {value}.",
        ),
        of_others=("My {relative} wants {value} on every rail journey.",),
        values=("the aisle", "the window", "the quiet coach", "the last row", "a table seat"),
    ),
    Topic(
        name="milk",
        asked=("Order me a coffee. {Which milk goes in it|What milk should they use}?",),
        said=(
            "My flat white only tastes right with {value} foam.",
            "The barista knows by now: {value} in my flat white, nothing else.",
        ),
        of_others=("My {relative} has {value} in every flat white.",),
        values=("oat", "almond", "soya", "coconut", "hazelnut", "rice"),
    ),
    Topic(
        name="view",
        asked=("Find me a hotel. What should I see from the room?",),
        said=(
            "I sleep like a baby whenever my bed looks out on {value}.",
            "Curtains open, {value} outside, and I wake up happy; nothing matters more to me on a trip.",
        ),
        of_others=("My {relative} wakes up happy only when {value} is outside the curtains.",),
        values=("a harbour", "mountains", "a vineyard", "rooftops", "a lake", "a park"),
    ),
    Topic(
        name="film",
        asked=("Choose a {movie|film} for me tonight. Of which genre?",),
        said=(
            "On the sofa I always end up with {value}; with anything else I doze off.",
            "Give me popcorn and {value}, and I am glued to the screen until the credits.",
        ),
        of_others=("My {relative} hogs the sofa and the popcorn for {value}.",),
        values=("film noir", "westerns", "musicals", "heist stories", "screwball comedy", "science fiction"),
    ),
    Topic(
        name="colour",
        asked=("Buy me a sweater. In which colour?",),
        said=(
            "My cupboard is full of {value} knitwear, and that is how I like it.",
            "Every jumper I ever felt at home in was {value}.",
        ),
        of_others=("My {relative} owns nothing but {value} knitwear and jumpers.",),
        values=("teal", "burgundy", "charcoal", "ochre", "navy", "forest green"),
    ),
    Topic(
        name="concentration",
        asked=("Put something on while I work. Which kind of music?",),
        said=(
            "{value} in my headphones is how I get through spreadsheets.",
            "My headphones know one thing when I have to focus: {value}.",
        ),
        of_others=("My {relative} needs {value} in the headphones to focus.",),
        values=("baroque", "ambient", "bossa nova", "techno", "string quartets", "lo-fi"),
    ),
    Topic(
        name="pizza",
        asked=("Get me a pizza. What should be on it?",),
        said=(
            "In the trattoria I never open the menu: {value} on the dough, every time.",
            "The man at the trattoria sees me and reaches for {value}; that is my slice.",
        ),
        of_others=("My {relative} asks for {value} in every trattoria.",),
        values=("capers", "artichokes", "anchovies", "rocket", "mushrooms", "four cheeses"),
    ),
    Topic(
        name="training",
        asked=("{Plan|Schedule} my training. At what time of day?",),
        said=(
            "I lift weights at {value}; at any other hour the gym never sees me.",
            "The gym and I get along at {value}, when the dumbbells are mine alone.",
        ),
        of_others=("My {relative} is in the gym at {value}, hogging the dumbbells.",),
        values=("dawn", "noon", "dusk", "midnight", "mid-morning"),
    ),
)
