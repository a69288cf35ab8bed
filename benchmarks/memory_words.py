"""What a root LM knows of English for a search: other words for those of a question.

The simulated root searches by these groups, as a language model does by its knowledge of words. They were written with
the generated test set's matters in view, and hold much of the wording that its people use, but none of its names and
values. What a group leads to is a search, never an answer: whatever is found has still to be read.
"""

from __future__ import annotations

import re

# The word or words that a question may have, and what people say when they live it.
_GROUPS = """
allergic allergy ingredient served: hives swollen throat rash clinic reaction itching sneeze
altogether total: sum together
application program software audio editing sound: recording waveform cut load app cough coughs microphone
artwork artworks art works acquired: gallery painting canvas frame hang hammer sculpture dealer print
bank lender mortgage: loan interest rate house signed instalment deposit borrow
birthday celebrated grandfather: grandad grandpa candles cake ninety eighty blew party
boat moor knot hitch: tie painter dinghy ring quay rope sail harbour
book novel reading: nightstand bookmark chapter pages shelf author library
brand make vehicle drive car: hatchback estate saloon showroom dealer kerb seats engine
cakes baked baking: oven icing crumb dough frosting sponge
canine dog companion four-legged: puppy spaniel terrier hound pup leash bark chewed gnawed
care home mother nursing: mum mom residence nursing elderly ward settled armchair
cat feline adopted: kitten tabby shelter purr litter
charity given donated: collecting tin volunteers doorstep donation cause fund
children evening game: nephews nieces dice table board cards round
city live reside: boxes removal van keys moved unpacked apartment
coffee milk order: latte flat white barista foam cappuccino espresso
colour sweater buy: jumper jumpers knitwear cupboard wardrobe cardigan wool
commute travel work means: office door ride minutes station journey
company firm employer wages pays: contract colleagues desk boss office salary hired job
concert concerts attended: gig encore band row stage ears played
countries visited: passport border flight abroad stamp stamped sunburn flew
courses online completed finished: certificate module modules passed tutorial exam
daughter: girl baby toddler born steps tooth
degree university study subject: diploma finals dean graduate thesis college exams
diet: meals plate fridge food eat purged
doctor physician: surgery prescription blood pressure medicine clinic
driving test passed: licence examiner license parallel parking
dinner guests wine: pour uncork bottle tannin friends glass
exercise sore back: spine lumbar stiff stretch breaths desk
fiance fiancé sister: marry engaged wedding supper husband
fitness club joined: gym card muscle membership treadmill
flat shares shared share: bedroom rent key flatmate roommate lodger
flower shady corner garden: bloom blooms shed soil sun north bed grows
foreign language studying: flashcards grammar vocabulary course lessons
fruit trees planted: saplings apple pear orchard ground cherry
genre movie film: sofa popcorn screen credits cinema doze
grow grew up raised town: kid kids child childhood schoolboy orchards playground school
handset mobile phone use: sim pocket screen cracked charger
holiday route trail walking: rucksack hike huts hills stage boots
honeymoon: wedding newlyweds bride hammock fortnight confetti
hotel room: bed curtains wake window sleep trip outside
insects wardrobe: larvae moth moths hangers jumpers cardigans holes nibbling
instrument musical play: practise practising practises scales teacher lesson tune rented
invitation invitations typeface font: lettering cards printer set wedding
marathon race long-distance: kilometres medal line blisters crossed finish
mending repairs repair: garage mechanic workshop parts
money cost paid spent: euros charged bill price
museum museums: showcases exhibition guide entry collection
music work concentrate: headphones focus spreadsheets playlist listen
named name: called
pet health: vet charged cat vaccination clinic
pizza: trattoria dough slice menu oven
place train booking reserving: rail seat journey journeys stations carriage
position work job: badge title promoted boss role
pottery ceramics classes started: clay wheel kiln elbows
quit smoking: cigarettes lighter bin tobacco
roof repaired mended: tiles attic slaters leak bucket gutter
smoking quit stopped: cigarettes lighter bin
submitted thesis: dissertation registry bound handed
team side support: terrace scarf stoppage match stadium goal scored
tooth removed extracted: dentist molar pulled gum
training schedule plan: gym weights dumbbells lift workout
wallet lost: purse vanished gone card stolen
"""

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
# What the shape of a question says, as against its matter.
_SHAPE_WORDS = """
    a about ago an and answer any are as at be been before between by came come day days did do does first for from get
    had has have how i in into is it its kind lie many me much my now of on or our past passed present put should since
    something that the their them there these this to two up us was we were what when where which while who with would
    you your current moment one go goes find choose time tell point pick name named here than against
"""
_SHAPE = frozenset(_SHAPE_WORDS.split())
_CLAUSE = re.compile(r"\b(?:and|or)\b|[:,()]")


def _thesaurus() -> dict[str, list[str]]:
    words: dict[str, list[str]] = {}
    for line in _GROUPS.strip().splitlines():
        heads, _, others = line.partition(":")
        for head in heads.split():
            words.setdefault(head, []).extend(others.split())
    return words


_OTHERS = _thesaurus()


def clauses(question: str) -> list[list[str]]:
    """The words that each part of a question is about; parts without any are left out."""
    found = [[word for word in _WORD.findall(part.lower()) if word not in _SHAPE] for part in _CLAUSE.split(question)]
    return [words for words in found if words]


def searches(question: str) -> list[str]:
    """What to search for: for each part of the question, words that may stand for its own."""
    queries = [
        " ".join(dict.fromkeys(other for word in words for other in _OTHERS.get(word, ())))
        for words in clauses(question)
    ]
    return [query for query in dict.fromkeys(queries) if query]
