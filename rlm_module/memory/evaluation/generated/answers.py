"""What an assistant told the user, who asks for it again."""

from __future__ import annotations

from rlm_module.memory.evaluation.generated.topics import Topic

ANSWERS = (
    Topic(
        name="moths",
        asked=("What did you {recommend|suggest} against the insects in my wardrobe?",),
        request=("Something is {nibbling|eating} holes in my {jumpers|cardigans}. What keeps the larvae out?",),
        said=("Hang {value} between the hangers and renew it every spring; moth larvae cannot stand it.",),
        of_others=("My {relative} fights moth larvae with {value}.",),
        values=("cedar blocks", "lavender sachets", "neem oil", "rosemary bundles", "camphor beads", "clove bags"),
    ),
    Topic(
        name="wine",
        asked=("Which wine did you {recommend|advise} for my dinner guests?",),
        request=("Friends come over for {roast duck|a stew}. What should I pour?",),
        said=("I would uncork a {value}: enough tannin for the fat, and light enough for a long evening.",),
        of_others=("My {relative} always uncorks a {value}, whatever is on the table.",),
        values=("Rioja", "Barolo", "Chinon", "Malbec", "Zweigelt", "Primitivo", "Beaujolais"),
    ),
    Topic(
        name="knot",
        asked=("Which {knot|hitch} did you tell me to moor the boat with?",),
        request=("My dinghy drifted off the ring on the quay. How do I tie the painter?",),
        said=("Tie the painter with a {value}; it holds on a ring in any swell and comes off in a second.",),
        of_others=("My {relative} ties every painter on the quay with a {value}.",),
        values=("bowline", "clove hitch", "cleat hitch", "sheet bend", "anchor bend", "rolling hitch"),
    ),
    Topic(
        name="typeface",
        asked=("Which {typeface|font} did you propose for my invitations?",),
        request=("The wedding cards look dull. Which lettering would you set them in?",),
        said=("Set the cards in {value}: the lettering stays legible when the printer scales it down.",),
        of_others=("My {relative} had wedding cards printed with {value} lettering.",),
        values=("Garamond", "Baskerville", "Didot", "Futura", "Caslon", "Bodoni", "Optima"),
    ),
    Topic(
        name="trail",
        asked=("Which {trail|route} did you pick for my walking holiday?",),
        request=("I have four days and a rucksack, and want hills and huts. Where to?",),
        said=("Take the {value}: huts at the end of each stage, and the steep hills come first.",),
        of_others=("My {relative} carried a rucksack along the {value} from one hut to the next.",),
        values=("Kerry Way", "Cleveland Way", "Rennsteig", "Laugavegur", "Sentiero Azzurro", "Malerweg"),
    ),
    Topic(
        name="game",
        asked=("Which game did you {name|pick} for our evening with the children?",),
        request=("My nephews are six and nine, it rains, and there is nothing but a table and dice. Ideas?",),
        said=("Put {value} on the table: the dice keep both nephews in it until the last round.",),
        of_others=("My {relative} plays {value} with the nephews, and cheats with the dice.",),
        values=("Yahtzee", "Ludo", "Carcassonne", "Backgammon", "Catan", "Parcheesi"),
    ),
    Topic(
        name="exercise",
        asked=("What exercise did you prescribe for my sore back?",),
        request=("Eight hours at a desk and my spine is one stiff plank. How do I loosen the lumbar part?",),
        said=("Do the {value} twice a day, ten slow breaths each; it frees the lumbar spine.",),
        of_others=("My {relative} does the {value} for a stiff spine.",),
        values=("cat-cow", "child's pose", "pelvic tilt", "bird dog", "cobra stretch", "glute bridge"),
    ),
    Topic(
        name="shade",
        asked=("Which flower did you {advise|suggest} for the shady corner of my garden?",),
        request=("Behind the shed faces north and nothing grows there. What would bloom without sun?",),
        said=("Put {value} into the soil behind the shed: it blooms without sun if you water it.",),
        of_others=("My {relative} grows {value} behind the shed, where no sun ever comes.",),
        values=("astilbe", "hellebore", "foxglove", "lily of the valley", "bleeding heart", "primrose"),
    ),
    Topic(
        name="sound",
        asked=("Which {program|application} did you point me to for editing audio?",),
        request=("I have to cut coughs out of an hour of interview recording. What with?",),
        said=("Load the recording into {value}, mark each cough on the waveform and cut it.",),
        of_others=("My {relative} cuts every recording in {value} and loves the waveform.",),
        values=("Audacity", "Reaper", "Ardour", "Ocenaudio", "Tenacity", "Hindenburg"),
    ),
)
