"""The words of the reviews corpus: products, what is said well and ill of their parts, and what it comes to in the end.

Everything here was written for this project. Each list of good things has one of bad things of the same length and form.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Domain:
    """One kind of product: what it is called, its parts, and clauses about it that praise or blame without saying so.

    A clause of praise and the clause of blame at the same place are about the same thing, and never share a sentence.
    `again` is what one does who likes it: buy, book or read it again.
    """

    product: str
    parts: tuple[str, ...]
    praise: tuple[str, ...]
    blame: tuple[str, ...]
    again: str = "buy"


# In the order of pairs that oppose each other, roughly.
GOOD = (
    "excellent", "superb", "lovely", "impressive", "dependable", "splendid", "delightful", "brilliant", "terrific",
    "satisfying", "outstanding", "pleasing", "fantastic", "great", "wonderful", "marvellous", "exceptional",
    "first-rate", "charming", "remarkable", "good", "solid", "enjoyable", "fabulous", "faultless", "polished",
)  # fmt: skip
BAD = (
    "dreadful", "awful", "shoddy", "disappointing", "unreliable", "miserable", "irritating", "hopeless", "terrible",
    "frustrating", "appalling", "annoying", "atrocious", "poor", "horrible", "dismal", "abysmal",
    "second-rate", "crude", "forgettable", "bad", "flimsy", "tiresome", "lousy", "defective", "sloppy",
)  # fmt: skip

VERDICT_GOOD = (
    "I would gladly {again} it again",
    "I recommend it to anyone who asks",
    "I am glad that I chose it",
    "it was money well spent",
    "it gets five stars from me",
    "I have told all my friends to get one",
    "it is worth every penny",
    "my next one will be the same",
)
VERDICT_BAD = (
    "I would never {again} it again",
    "I warn anyone who asks",
    "I am sorry that I chose it",
    "it was money thrown away",
    "it gets one star from me",
    "I have told all my friends to stay away",
    "I want my money back",
    "my next one will be from another maker",
)

# What turns a sentence round. The templates differ between the splits; these markers are shared by them all.
NEGATIONS = (
    "not", "not at all", "by no means", "in no way", "hardly", "scarcely", "far from", "anything but", "nowhere near",
    "not remotely", "not in the least", "never", "not exactly",
)  # fmt: skip
REFUSALS = (
    "that is simply wrong", "I disagree", "that is nonsense", "I found the opposite", "that is a myth",
    "that is plainly false", "I cannot confirm that", "I have to contradict", "nothing could be further from the truth",
)  # fmt: skip
ASSENTS = (
    "that is simply true", "I agree", "that is a fact", "I found the same", "that is no exaggeration",
    "that is plainly so", "I can only confirm that", "I cannot contradict", "nothing could be closer to the truth",
)  # fmt: skip
TURNS = (
    "however,", "even so,", "all the same,", "still,", "and yet", "nevertheless,", "on balance, though,", "but in the end",
    "but then", "that said,",
)  # fmt: skip
BUTS = ("but", "yet", "but still", "only")
ALTHOUGHS = ("although", "even though", "though", "even if", "much as")
DESPITES = ("despite", "in spite of", "regardless of", "notwithstanding", "in the face of")
BESIDES = ("next to", "beside", "compared with", "measured against", "set against", "in comparison with")

# Neither good nor bad, and drawn without a look at the label.
PROVISOS = (
    "after a month of daily use", "for the price", "in my experience", "so far", "since the first day", "in short",
    "after the second week", "as far as I can tell", "in the end", "after a long weekend with it", "to be fair",
    "all told", "after many hours with it", "by now", "to tell the truth", "if you ask me", "let me put it this way",
    "speaking for myself", "as I keep saying", "believe me", "mind you", "for what it is worth", "I must admit",
    "on closer inspection", "at home and on the road", "whatever others may think", "as everyone at home can see",
    "as I wrote elsewhere", "and this is the point", "as promised",
)  # fmt: skip
PEOPLE = (
    "sister", "neighbour", "brother", "colleague", "father", "flatmate", "cousin", "aunt", "boss", "wife", "husband",
    "daughter", "uncle", "friend",
)  # fmt: skip

DOMAINS = (
    Domain(
        "phone",
        ("screen", "battery", "camera", "speaker", "keyboard", "case"),
        (
            "the battery lasts two full days", "the camera is sharp even at night", "calls come through loud and clear",
            "the screen stays readable in the sun", "it survives every drop", "apps open at once",
        ),
        (
            "the battery is flat by noon", "the camera blurs every second picture", "calls break off all the time",
            "the screen goes blank in the sun", "it cracked at the first drop", "apps freeze for minutes",
        ),
    ),
    Domain(
        "kettle",
        ("lid", "handle", "spout", "switch", "base", "filter"),
        (
            "it boils before I have found a cup", "the lid closes with a firm click", "the handle stays cool",
            "the spout pours without a drop spilled", "it switches itself off every time", "the water tastes clean",
        ),
        (
            "it takes an age to boil", "the lid falls off when I pour", "the handle burns my fingers",
            "the spout dribbles all over the counter", "it boils dry because the switch sticks",
            "the water tastes of plastic",
        ),
    ),
    Domain(
        "pair of boots",
        ("sole", "stitching", "lining", "heel", "leather", "fit"),
        (
            "my feet stay dry in the rain", "the soles grip on wet stone", "the seams have held for years",
            "I could walk in them all day", "the leather grows softer each week", "they needed no breaking in",
        ),
        (
            "my feet get soaked in the rain", "the soles slip on wet stone", "the seams split within weeks",
            "I get blisters within the hour", "the leather cracked in a week", "they pinch at every step",
        ),
    ),
    Domain(
        "pair of headphones",
        ("sound", "bass", "cable", "headband", "microphone", "padding"),
        (
            "every instrument can be heard", "I forget that I am wearing them", "the bass is deep and clean",
            "they pair within a second", "the street noise disappears", "the cable never tangles",
        ),
        (
            "everything sounds like a tin can", "my ears hurt within minutes", "the bass drowns everything else",
            "they lose the connection every hour", "every passing car can be heard", "the cable came loose in a week",
        ),
    ),
    Domain(
        "novel",
        ("plot", "ending", "dialogue", "opening", "narrator", "style"),
        (
            "I could not put it down", "the pages turn themselves", "the characters feel like old friends",
            "the ending made me cry", "every chapter held a surprise", "I was sad when it was over",
        ),
        (
            "I gave up half way through", "every page is a struggle", "the characters are made of cardboard",
            "the ending made me groan", "I saw every twist coming", "I was relieved when it was over",
        ),
        again="read",
    ),
    Domain(
        "hotel",
        ("room", "breakfast", "reception", "pool", "bed", "view"),
        (
            "the staff remembered our names", "the sheets were fresh every day", "we slept like children",
            "breakfast had something for everyone", "the beach was at the door", "the room was spotless",
        ),
        (
            "the staff ignored us", "the sheets had stains on them", "the noise kept us awake",
            "breakfast was cold and stale", "the promised beach was an hour away", "the room smelled of mould",
        ),
        again="book",
    ),
    Domain(
        "backpack",
        ("zip", "strap", "pocket", "fabric", "buckle", "back panel"),
        (
            "the straps spread the weight well", "the zips glide", "my laptop stays dry in a storm",
            "everything has its place", "it looks new after three years", "it weighs next to nothing",
        ),
        (
            "the straps cut into my shoulders", "the zips jam", "my laptop got wet in a drizzle",
            "nothing fits where it should", "it fell apart within a month", "it weighs a ton when empty",
        ),
    ),
    Domain(
        "vacuum cleaner",
        ("motor", "hose", "brush", "suction", "cord", "dust bag"),
        (
            "it lifts dog hair at the first pass", "it hums so softly that the baby sleeps on",
            "it glides around every chair", "emptying it is a matter of seconds", "the carpets look new again",
            "it reaches every corner",
        ),
        (
            "it leaves dog hair behind after five passes", "it roars so loudly that the baby wakes up",
            "it topples over at every chair", "emptying it covers me in dust", "the carpets look as dirty as before",
            "it cannot reach any corner",
        ),
    ),
    Domain(
        "blender",
        ("jug", "blade", "motor", "seal", "dial", "recipe book"),
        (
            "it crushes ice in seconds", "soups come out like silk", "it rinses clean under the tap",
            "it stands firm on the counter", "it has run every morning for years", "it takes nuts with ease",
        ),
        (
            "it chokes on a single ice cube", "soups come out full of lumps", "it has to be scrubbed for ages",
            "it leaks over the counter", "it burned out in the first week", "it smells of smoke",
        ),
    ),
    Domain(
        "office chair",
        ("seat", "backrest", "armrest", "wheel", "cushion", "lever"),
        (
            "my back stopped hurting", "it rolls without a sound", "it took five minutes to put together",
            "the cushion keeps its shape", "it adjusts to my whole family", "I can sit in it for ten hours",
        ),
        (
            "my back started hurting", "it squeaks at every move", "half of the screws were missing",
            "the cushion went flat in days", "it sinks while I sit on it", "one wheel broke off",
        ),
    ),
    Domain(
        "printer",
        ("tray", "ink", "software", "scanner", "display", "paper feed"),
        (
            "it finds the network by itself", "photos come out true to life", "one cartridge lasts all year",
            "the first page is out in a moment", "it takes thick paper without complaint", "set-up took two minutes",
        ),
        (
            "it loses the network every day", "photos come out green", "cartridges run dry after ten pages",
            "the first page takes forever", "it jams with any kind of paper", "set-up took a whole evening",
        ),
    ),
    Domain(
        "rain jacket",
        ("hood", "zip", "collar", "lining", "cuff", "cut"),
        (
            "I came home dry from a storm", "it folds into its own pocket", "the colour survived forty washes",
            "it breathes on steep climbs", "the hood stays up in the wind", "strangers ask me where I got it",
        ),
        (
            "I came home soaked from a drizzle", "it does not fit into any bag", "the colour washed out at once",
            "I sweat in it on flat ground", "the hood flies off in a breeze", "it makes me look like a tent",
        ),
    ),
)  # fmt: skip
