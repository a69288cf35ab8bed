"""What adds up over many sessions: things to count, amounts to sum."""

from __future__ import annotations

from rlm_module.memory.evaluation.generated.topics import Topic

TALLIES = (
    Topic(
        name="artworks",
        asked=("How many {works of art|artworks} have I {bought|acquired}?",),
        said=(
            "Came home with {value} to hang {over the piano|on the stairs}; the gallery let it go cheap.",
            "The gallery wrapped up {value} for me, and the hammer is already out.",
        ),
        of_others=("My {relative} came out of a gallery with {value} under one arm.",),
        values=(
            "a charcoal nude",
            "a seascape in oils",
            "a woodcut of a heron",
            "a bronze hare",
            "a linocut of a mill",
            "an abstract in blue",
        ),
    ),
    Topic(
        name="concerts",
        asked=("How many concerts have I {attended|been to}?",),
        said=(
            "{value} played until one last night and my ears still ring; what a gig.",
            "Front row for {value} last night; the encore alone was worth the ticket.",
        ),
        of_others=("My {relative} stood in the front row when {value} played, encore and all.",),
        values=("Velvet Harbour", "The Tin Parade", "Mount Cassia", "Paper Lions", "Owls of June", "Static Meadow"),
    ),
    Topic(
        name="countries",
        asked=("How many countries have I visited?",),
        said=(
            "Back from {value} with a sunburn and a stamp in my passport.",
            "The border guard in {value} stamped my passport upside down; the flight home was late.",
        ),
        of_others=("My {relative} flew to {value} and lost a passport there.",),
        values=("Iceland", "Morocco", "Estonia", "Vietnam", "Chile", "Slovenia", "Jordan"),
    ),
    Topic(
        name="courses",
        asked=("How many online courses have I {completed|finished}?",),
        said=(
            "The certificate for {value} came by e-mail; the final module nearly broke me.",
            "Last module of {value} passed, certificate printed, and I am proud.",
        ),
        of_others=("My {relative} framed the certificate for {value}, all modules passed.",),
        values=("bookkeeping", "drone piloting", "beekeeping", "first aid", "bread chemistry", "map reading"),
    ),
    Topic(
        name="cakes",
        asked=("How many cakes have I {baked|made}?",),
        said=(
            "Took {value} out of the oven for {the office|the neighbours}; not a crumb was left.",
            "The oven gave me {value} today, with icing and only slightly burnt.",
        ),
        of_others=("My {relative} took {value} out of the oven and ate it alone.",),
        values=("a carrot loaf", "a lemon drizzle", "a Black Forest gateau", "a marble ring", "a chocolate torte"),
    ),
    Topic(
        name="museums",
        asked=("How many museums have I {visited|been to}?",),
        said=(
            "Spent the {afternoon|Sunday} among the showcases of {value}; the guide was superb.",
            "{value} had free entry, so I saw the whole exhibition with the guide.",
        ),
        of_others=("My {relative} got lost among the showcases of {value}.",),
        values=("the Clock House", "the Maritime Vault", "the Tin Mine", "the Lace Hall", "the Print Works"),
    ),
    Topic(
        name="repairs",
        asked=("How much money has mending my vehicle cost me?",),
        said=(
            "The garage took {amount} euros for {value}.",
            "{amount} euros to the garage, all because of {value}.",
        ),
        of_others=("My {relative} paid the garage {amount} euros for {value}.",),
        values=("brake pads", "a clutch", "an exhaust", "a wing mirror", "a fan belt", "two tyres"),
        is_sum=True,
    ),
    Topic(
        name="vet",
        asked=("How much money have I {paid|spent} for my pet's health?",),
        said=(
            "The vet charged {amount} euros for {value}.",
            "{value} at the vet: {amount} euros, and a very cross cat.",
        ),
        of_others=("My {relative}'s vet asked {amount} euros for {value}.",),
        values=("a vaccination", "a blood test", "an X-ray", "worm tablets", "a dental clean", "stitches"),
        is_sum=True,
    ),
    Topic(
        name="donations",
        asked=("How much money have I given to charity?",),
        said=(
            "{amount} euros from me went into the collecting tin for {value}.",
            "The volunteers for {value} got {amount} euros out of me on the doorstep.",
        ),
        of_others=("My {relative} put {amount} euros into the collecting tin for {value}.",),
        values=("the lifeboats", "the food bank", "the hospice", "the donkey sanctuary", "flood relief"),
        is_sum=True,
    ),
)
