"""What fills the sessions in which nothing is said that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from rlm_module.memory.evaluation.generated.topics import phrase


@dataclass(frozen=True, slots=True)
class Chat:
    """A matter to chat about: what it is, and the things that come up."""

    matter: str
    things: tuple[str, ...]


CHATS = (
    Chat("sourdough", ("starter", "crust", "hydration", "proving basket", "oven stone", "rye flour")),
    Chat("spreadsheets", ("pivot table", "lookup formula", "named range", "conditional format", "macro", "header row")),
    Chat("the history of lighthouses", ("lens", "keeper's log", "fog signal", "granite tower", "lamp oil", "reef")),
    Chat("chess openings", ("pawn chain", "bishop pair", "open file", "gambit", "castled king", "endgame")),
    Chat("volcanoes", ("magma chamber", "ash cloud", "caldera", "basalt", "vent", "pumice")),
    Chat("knitting patterns", ("cable stitch", "gauge swatch", "circular needle", "yoke", "ribbing", "yarn weight")),
    Chat("Roman roads", ("milestone", "paving", "ditch", "survey pole", "bridge pier", "gravel bed")),
    Chat("home networks", ("router", "mesh node", "firmware", "guest channel", "patch cable", "firewall rule")),
    Chat("the tides", ("moon phase", "spring range", "estuary", "tidal bore", "chart datum", "slack water")),
    Chat("composting", ("brown layer", "worm bin", "leaf mould", "coffee grounds", "turning fork", "moisture")),
    Chat("Renaissance maps", ("compass rose", "projection", "copper plate", "sea monster", "margin", "parchment")),
    Chat("bird migration", ("flyway", "ringing station", "moulting", "thermal", "wetland", "flock")),
    Chat("public speaking", ("opening line", "pause", "gesture", "cue card", "microphone", "summary")),
    Chat("solar panels", ("inverter", "string layout", "shading", "feed-in meter", "mounting rail", "tilt angle")),
    Chat("haiku", ("season word", "cutting word", "syllable", "image", "last verse", "juxtaposition")),
    Chat("glaciers", ("moraine", "crevasse", "meltwater", "firn", "ice core", "snout")),
    Chat("database indexes", ("b-tree", "covering column", "query plan", "page split", "cardinality", "vacuum")),
    Chat("watch repair", ("mainspring", "balance wheel", "jewel", "escapement", "case back", "tweezers")),
    Chat("fermented cabbage", ("brine", "crock", "weight stone", "caraway", "salt ratio", "airlock")),
    Chat("street photography", ("shutter speed", "zone focus", "backlight", "contact sheet", "candid frame", "grain")),
    Chat("medieval guilds", ("charter", "apprentice", "masterpiece", "market hall", "seal", "dues")),
    Chat("kite building", ("spar", "bridle", "ripstop", "tail", "spool", "keel")),
    Chat("tax forms", ("allowance", "deadline", "receipt folder", "deduction", "bracket", "draft return")),
    Chat("quantum computing", ("qubit", "gate", "error correction", "superposition", "decoherence", "circuit depth")),
)

_OPENINGS = (
    "{Can you explain|Teach me about} {matter} {from scratch|a bit better}. Where does the {thing} come in?",
    "As a {trade} I know nothing about {matter}. {Is the {thing} hard to grasp|Why is the {thing} so important}?",
    "{Hi|Hello|Good evening}, {name} here. Give me an overview of {matter}, please, above all the {thing}.",
    "I fell down a rabbit hole about {matter}. {What does the {thing} do|What is the {thing} for}?",
)
_FOLLOW_UPS = (
    "And how does the {thing} relate to the {other}?",
    "What {goes wrong|breaks first} if one ignores the {thing}?",
    "Could you give me an example with the {thing}, {ideally|if possible} a {short|simple} one?",
    "I {tried|sketched} it with the {thing} and the {other}, and got nowhere. What did I overlook?",
    "Is the {thing} still relevant, or has the {other} replaced it?",
)
_EXPLANATIONS = (
    "Start with the {thing}, because the {other} depends on it.",
    "The {thing} is {easily|often} confused with the {other}, though they serve different ends.",
    "A {common|classic} mistake is to {rush|skip} the {thing}; {experts|old hands} check it twice.",
    "Think of the {thing} as a hinge: the {other} swings around it.",
    "If the {thing} seems {fiddly|opaque}, write down what you expect of it and compare afterwards.",
    "There are {two|three} schools of thought on the {thing}, and both agree about the {other}.",
    "In practice the {thing} varies {a lot|widely}, so treat any rule about it as a starting point.",
    "Beginners tend to overrate the {thing} and to forget the {other} entirely.",
    "Historically the {other} came first, and the {thing} was added to make it reliable.",
    "{Keep|Make} notes on the {thing}; patterns show up sooner than one thinks.",
    "With {matter} in general, patience with the {thing} beats cleverness with the {other}.",
    "The {other} tells you whether the {thing} is right: if it drifts, go back one step.",
    "For a {quick|rough} test, change the {thing} only and leave the {other} as it was.",
    "Most handbooks devote a whole section to the {thing}, {usually|mostly} next to the {other}.",
)
_THANKS = (
    "{Thanks|Great|Got it}. Let me {think about|sleep on} the {thing}.",
    "That helps. I will look at the {thing} again.",
)
LEAD_INS = ("", "By the way: ", "Something else. ", "Before we go on: ", "Off topic: ", "A word about me. ")


@dataclass(frozen=True, slots=True)
class Talker:
    """Says things about one matter, in the persona's voice or the assistant's.

    Args:
        chat: The matter.
        name: The persona's.
        trade: What the persona does for a living.
        random: Chooses.
    """

    chat: Chat
    name: str
    trade: str
    random: Random

    def opening(self) -> str:
        return self._say(_OPENINGS)

    def follow_up(self) -> str:
        return self._say(_FOLLOW_UPS)

    def thanks(self) -> str:
        return self._say(_THANKS)

    def explanation(self) -> str:
        return " ".join(self._sentences(self.random.randint(4, 8)))

    def _sentences(self, count: int) -> Iterator[str]:
        for template in self.random.sample(_EXPLANATIONS, count):
            yield self._say((template,))

    def _say(self, templates: tuple[str, ...]) -> str:
        thing, other = self.random.sample(self.chat.things, 2)
        slots = {"matter": self.chat.matter, "thing": thing, "other": other, "name": self.name, "trade": self.trade}
        return phrase(templates, self.random, **slots)
