"""Facts that a user mentions once, in passing."""

from __future__ import annotations

from rlm_module.memory.evaluation.generated.topics import Topic

FACTS = (
    Topic(
        name="dog",
        asked=("What is my {canine companion|four-legged friend} called?",),
        said=(
            "We {finally|at last} {brought|fetched} the {puppy|spaniel|terrier} home: {value} sleeps on my {feet|lap}.",
            "{value}, our {puppy|spaniel|terrier}, {chewed|gnawed} my {left slipper|charger} to pieces this morning.",
        ),
        of_others=("My {relative}'s {puppy|spaniel|terrier} {value} barks at every {cyclist|postman}.",),
        values=("Biscuit", "Pepper", "Juno", "Otto", "Waffle", "Nellie", "Bramble", "Figaro"),
    ),
    Topic(
        name="instrument",
        asked=("Which {musical instrument|instrument} have I {taken up|begun to play}?",),
        said=(
            "My fingers {ache|hurt} from practising scales on the {value}, but the teacher says it will pass.",
            "I rented a {value} and the neighbours already hate my scales; the teacher {laughed|winced}.",
        ),
        of_others=("My {relative} practises scales on the {value} until the teacher begs for mercy.",),
        values=("cello", "oboe", "banjo", "accordion", "harp", "trombone", "mandolin", "clarinet"),
    ),
    Topic(
        name="childhood",
        asked=("In which town did I grow up?", "Where was I raised?"),
        said=(
            "As a {kid|schoolboy} I {cycled|walked} past the orchards of {value} every morning.",
            "Back when I was {six|seven|eight}, we {kids|children} had the whole of {value} for a playground.",
        ),
        of_others=("My {relative} was a {kid|schoolboy} in {value}, and still talks of its playground.",),
        values=("Ellerby", "Marlock", "Stanwick", "Orrendale", "Petherton", "Quillan", "Thornaby", "Wexcombe"),
    ),
    Topic(
        name="employer",
        asked=("Which {firm|company} pays my wages?", "Who is my employer?"),
        said=(
            "I signed the contract with {value}, and have a desk by the window among {nice|chatty} colleagues.",
            "My colleagues at {value} {threw|held} a small welcome for me; the desk even had a plant on it.",
        ),
        of_others=("My {relative} signed a contract with {value} and complains about the colleagues there.",),
        values=(
            "Northvale Optics",
            "Harrow Tidal",
            "Lumen and Pike",
            "Castellan Foods",
            "Ostrava Rail",
            "Brightmoor Labs",
            "Fenwick Glass",
        ),
    ),
    Topic(
        name="allergy",
        asked=("What am I allergic to?", "Which ingredient must never be served to me?"),
        said=(
            "My throat was swollen shut after a {sauce|biscuit} with {value} in it; the clinic kept me overnight.",
            "Hives all over me again: there was {value} in the {soup|dressing}, and off to the clinic I went.",
        ),
        of_others=("My {relative} had hives and a swollen throat from {value}.",),
        values=("sesame", "cashews", "mustard", "lupin", "celery", "shellfish", "buckwheat", "kiwi"),
    ),
    Topic(
        name="car",
        asked=("What {make|brand} is the vehicle I drive?",),
        said=(
            "The {hatchback|estate} stands by the kerb now, a {grey|red|green} {value} fresh from the showroom.",
            "Picked up my {hatchback|estate} at the showroom: {value}, heated seats and all.",
        ),
        of_others=("My {relative}'s {hatchback|estate}, a {value}, came out of the showroom with a scratch.",),
        values=("Skoda", "Volvo", "Peugeot", "Mazda", "Citroen", "Seat", "Subaru", "Fiat"),
    ),
    Topic(
        name="degree",
        asked=("What did I study at university?", "In which subject did I take my degree?"),
        said=(
            "I sat my finals in {value} with a fever, and the dean shook my hand all the same.",
            "My diploma in {value} hangs askew; the dean misspelt my name on it.",
        ),
        of_others=("My {relative} has a diploma in {value} and finals nightmares to this day.",),
        values=("geology", "philosophy", "botany", "economics", "archaeology", "linguistics", "astronomy"),
    ),
    Topic(
        name="daughter",
        asked=("What have we named our daughter?", "What is my daughter's name?"),
        said=(
            "Our little girl {value} {took her first steps|lost her first tooth|slept through} at the weekend.",
            "The baby girl is here: {value}, seven pounds, and she has her father's ears.",
        ),
        of_others=("My {relative}'s baby girl {value} took her first steps.",),
        values=("Imogen", "Freya", "Matilda", "Rosalind", "Beatrix", "Saskia", "Ottilie"),
    ),
    Topic(
        name="honeymoon",
        asked=("Where did we go on our honeymoon?",),
        said=(
            "Right after the wedding the two of us {flew|sailed} off to {value} and hardly left the hammock.",
            "The newlyweds, meaning us, spent a fortnight in {value} with one suitcase, still throwing off confetti.",
        ),
        of_others=("Right after the wedding my {relative} and the bride {flew|sailed} off to {value}.",),
        values=("Madeira", "Zanzibar", "Sardinia", "Crete", "Bali", "Corsica", "Mauritius"),
    ),
    Topic(
        name="physician",
        asked=("Who is my {physician|doctor}?",),
        said=(
            "{value} took my blood pressure again and tutted about the salt.",
            "The surgery rang: {value} renewed my prescription but wants my blood pressure down.",
        ),
        of_others=("My {relative} swears by {value}, who took everybody's blood pressure.",),
        values=("Okafor", "Lindqvist", "Marchetti", "Havel", "Rasmussen", "Bhattacharya", "Delacroix"),
    ),
    Topic(
        name="mortgage",
        asked=("With which lender do I have my mortgage?",),
        said=(
            "The loan for the house went through with {value}, at a fixed interest rate for ten years.",
            "Signed at {value} today: a fixed interest rate, and the house is ours in a mere quarter of a century.",
        ),
        of_others=("My {relative}'s loan for the house went through with {value} at a dreadful interest rate.",),
        values=("Calder Trust", "Union Savings", "Meridian", "Hollis and Sons", "Penrose Mutual", "Alder Street Bank"),
    ),
    Topic(
        name="club",
        asked=("Which {team|side} do I support?",),
        said=(
            "I shouted myself hoarse on the terrace: {value} scored in stoppage time.",
            "My scarf from {value} is soaked; ninety minutes on the terrace in the rain, and they lost.",
        ),
        of_others=("My {relative} goes to the terrace for {value}, scarf and all.",),
        values=("Rovers", "Albion", "Wanderers", "Athletic", "Rangers", "Thistle", "Orient"),
    ),
)
