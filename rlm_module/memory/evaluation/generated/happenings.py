"""What happened on a day that can be worked out."""

from __future__ import annotations

from rlm_module.memory.evaluation.generated.topics import Topic

HAPPENINGS = (
    Topic(
        name="gym",
        asked=("joined a fitness club",),
        said=("{when} I got my card for the gym on {Mill|Bridge|Castle} Street, and every muscle is sore.",),
        of_others=("My {relative} got a card for the gym {when}.",),
    ),
    Topic(
        name="licence",
        asked=("passed my driving test",),
        said=("{when} the examiner shook my hand and the licence was mine.",),
        of_others=("My {relative} got the licence from a grumpy examiner {when}.",),
    ),
    Topic(
        name="fiance",
        asked=("met my sister's fiancé",),
        said=("{when} the man {Clara|Judith|Nora} is going to marry came to supper, and we shook hands at last.",),
        of_others=("My {relative} is going to marry: they all had supper together {when}.",),
    ),
    Topic(
        name="tooth",
        asked=("had a tooth {removed|extracted}",),
        said=("{when} the dentist pulled the molar, and I have lived on soup since.",),
        of_others=("The dentist pulled a molar of my {relative}'s {when}.",),
    ),
    Topic(
        name="thesis",
        asked=("submitted my thesis",),
        said=("{when} I handed the bound dissertation in at the registry.",),
        of_others=("My {relative} handed a dissertation in at the registry {when}.",),
    ),
    Topic(
        name="race",
        asked=("ran my first {long-distance race|marathon}",),
        said=("{when} I crossed the line after 42 kilometres, with a medal and two blisters.",),
        of_others=("My {relative} got a medal for 42 kilometres {when}.",),
    ),
    Topic(
        name="nursing",
        asked=("moved my mother into a care home",),
        said=("{when} mum settled in at the nursing residence, with her own armchair.",),
        of_others=("The mum of my {relative} settled in at a nursing residence {when}.",),
    ),
    Topic(
        name="wallet",
        asked=("lost my wallet",),
        said=("{when} my purse with every bank card in it vanished from the tram.",),
        of_others=("My {relative}'s purse vanished from the tram {when}.",),
    ),
    Topic(
        name="orchard",
        asked=("planted fruit trees",),
        said=("{when} the apple and pear saplings went into the ground behind the house.",),
        of_others=("My {relative} put pear saplings into the ground {when}.",),
    ),
    Topic(
        name="pottery",
        asked=("started {ceramics|pottery} classes",),
        said=("{when} I sat at the wheel for the first time, clay up to the elbows.",),
        of_others=("My {relative} sat at the wheel with clay in the hair {when}.",),
    ),
    Topic(
        name="roof",
        asked=("had the roof {repaired|mended}",),
        said=("{when} the slaters put new tiles over the attic, so the bucket can go.",),
        of_others=("The slaters put new tiles over my {relative}'s attic {when}.",),
    ),
    Topic(
        name="smoking",
        asked=("quit smoking",),
        said=("{when} my last cigarettes went into the bin, lighter and all.",),
        of_others=("My {relative} threw the cigarettes and the lighter into the bin {when}.",),
    ),
    Topic(
        name="grandfather",
        asked=("celebrated my grandfather's birthday",),
        said=("{when} grandad blew out ninety candles in one go.",),
        of_others=("The grandad of my {relative} blew out his candles {when}.",),
    ),
    Topic(
        name="cat",
        asked=("adopted my {cat|feline}",),
        said=("{when} a tabby kitten from the shelter moved in and took my pillow.",),
        of_others=("My {relative} took a tabby kitten from the shelter {when}.",),
    ),
)
