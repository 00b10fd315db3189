"""The everyday sentences of the reviews corpus, from one word to two short sentences; each template serves one split.

A template is written once for both labels, as in `templates`. Its slots, with `+` for the label's own side and `-` for the other:

    {w+} an adjective: "awful"       {l+} a feeling: "I love it"      {e+} what happened: "it broke"
    {s+} a short denial: "not bad"   {g+} a noun: "a rip-off"         {r+} advice: "don't buy it"
    {when+} a time that goes with {e+}: "after a week"
"""

from __future__ import annotations

from collections.abc import Mapping

# Category -> share of the everyday sentences.
SHARES: Mapping[str, float] = {"words": 0.14, "opinion": 0.22, "event": 0.2, "negation": 0.22, "mixed": 0.22}

TRAIN: Mapping[str, tuple[str, ...]] = {
    # A word or two.
    "words": (
        "{w+}",
        "{w+}.",
        "{w+}!",
        "very {w+}",
        "just {w+}.",
        "simply {w+}",
        "really {w+}!",
        "so {w+}.",
        "{w+} {p}",
        "{w+} {x}",
        "{w+}, {w+}",
        "{g+}",
        "{g+}!",
        "{r+}",
        "{r+}.",
        "{s+}",
        "{s+}.",
        "{l+}",
        "{e+}",
        "{e+} {when+}",
    ),
    # What one thinks of it, plainly.
    "opinion": (
        "{l+}.",
        "it is {w+}.",
        "this {p} is {w+}.",
        "the {x} is {w+}.",
        "what {g+}.",
        "it is {g+}.",
        "{w+}, {r+}.",
        "{l+}, {r+}.",
        "{l+}. the {x} is {w+}.",
        "this is {g+}, {r+}.",
        "I find it {w+}.",
        "I think it is {w+}.",
        "the {x} and the {x} are {w+}.",
        "it is {w+} and {w+}.",
        "{w+} {x}, {w+} {x}.",
        "{g+}: {r+}.",
        "{r+}, it is {w+}.",
        "my {who} says it is {w+}, and I agree.",
        "I bought this {p} last month, and it is {w+}.",
        "it looks {w+} and feels {w+}.",
        "this {p} is {g+}. {r+}.",
        "my {who} got me this {p}. {l+}.",
        "everything about it is {w+}.",
    ),
    # What happened to it.
    "event": (
        "{e+} {when+}.",
        "{e+}.",
        "{w+}, {e+} {when+}.",
        "{e+} {when+}. {r+}.",
        "{when+} {e+}.",
        "{l+}, {e+}.",
        "{e+}, {r+}.",
        "I bought this {p} for my {who}, and {e+} {when+}.",
        "the {x} is {w+} and {e+}.",
        "{e+} {when+}, so {l+}.",
        "{when+} {e+}: {g+}.",
        "{l+}. {e+} {when+}.",
        "{e+} and the {x} is {w+}.",
    ),
    # Short denials, which turn a word round or stand for themselves.
    "negation": (
        "{s+}, {r+}.",
        "{s+}: {e+}.",
        "not {w-}.",
        "it is not {w-}.",
        "not {w-} at all.",
        "the {x} is not {w-}.",
        "this {p} is not {g-}.",
        "it isn't {w-}.",
        "nothing {w-} about it.",
        "{s+}. {l+}.",
        "{l+}, {s+}.",
        "it was never {w-}.",
        "I would not call it {w-}.",
        "not {w-}, {w+}.",
        "{s+}, and the {x} is {w+}.",
        "it is not a {p} that I would call {w-}.",
        "hardly {w-}.",
        "far from {w-}.",
        "anything but {w-}.",
        "I don't think it is {w-}.",
        "the {x} isn't {w-} and the {x} isn't {w-}.",
    ),
    # One thing against another; the last one counts.
    "mixed": (
        "{w-} {x}, but {e+}.",
        "the {x} is {w-}, but {l+}.",
        "{w-}, but {w+}.",
        "it looks {w-}, but it is {w+}.",
        "the {x} is {w-} but {e+}.",
        "people say it is {w-}, but {l+}.",
        "I thought it was {w-}, but {e+}.",
        "{e-}, but the new one is {w+}: {r+}.",
        "the {x} is {w-}, but the rest is {w+}, so {r+}.",
        "it seemed {w-} at first, but {l+} now.",
        "{w-} price, but {w+} {x}: {r+}.",
        "my {who} [hates|loves] it, but I find it {w+}.",
        "the {x} looks {w-}, but {e+} {when+}.",
    ),
}

HOLDOUT: Mapping[str, tuple[str, ...]] = {
    "words": (
        "quite {w+}!",
        "{w+} as ever",
        "{w+} and {w+}",
        "my {x}: {w+}",
        "oh, {w+}",
        "{r+}, really",
        "{s+}, I say",
    ),
    "opinion": ("my new {p} is {w+}.", "for me it is {g+}.", "{l+}: {w+} {x}.", "{r+}: the {x} is {w+}."),
    "event": ("it is {w+}, because {e+} {when+}.", "{e+} {when+}, my {who} says.", "honestly, {e+}."),
    "negation": ("this is not {w-}.", "I can't say it is {w-}.", "well, {s+}, {e+}.", "the {x} was not {w-}."),
    "mixed": (
        "{w-} look, but {e+}.",
        "the {x} could be called {w-}, but {l+}.",
        "others find it {w-}, but it is {g+}.",
    ),
}

EVALUATION: Mapping[str, tuple[str, ...]] = {
    "words": (
        "utterly {w+}",
        "{w+}, full stop.",
        "{w+} all round",
        "{w+} {x} and {w+} {x}",
        "it's {w+}",
        "well, {w+}!",
        "{g+}, really",
        "{r+}, {r+}",
        "{s+}, {s+}",
        "{w+} stuff",
        "{g+}, {g+}",
        "honest opinion: {l+}",
    ),
    "opinion": (
        "honestly, {l+}.",
        "this {x} is {w+}, and so is the {x}.",
        "to me it is {g+}.",
        "{w+} {p}. {l+}.",
        "I call that {w+}.",
        "a {w+} {p} with a {w+} {x}.",
        "we have had this {p} for a while and think it is {w+}.",
        "{r+}: {w+} {x}, {w+} {x}.",
        "my {who} and I agree: {g+}.",
        "from start to finish it is {w+}.",
    ),
    "event": (
        "{when+}, {e+}, {r+}.",
        "my {who} has one too, and {e+} {when+}.",
        "{e+} {when+}, which is {w+}.",
        "the {x} is {w+}: {e+} {when+}.",
        "well, {e+} {when+}.",
        "{g+}. {e+}.",
        "what can I say, {e+}.",
    ),
    "negation": (
        "this one is not {w-}.",
        "the {x} of it isn't {w-}.",
        "I can't call it {w-}.",
        "not exactly {w-}.",
        "{s+}. {e+} {when+}.",
        "nobody in my family finds it {w-}.",
        "{s+}, so {r+}.",
        "it's not {g-}.",
        "who says it is {w-}? Not me.",
        "{l+}; I mean, {s+}.",
        "it doesn't look {w-}.",
    ),
    "mixed": (
        "some call it {w-}, but {e+}.",
        "it has a {w-} {x}, but {l+}.",
        "{w-} box, but {w+} {p}.",
        "I expected {g-}, but it is {g+}.",
        "the {x} felt {w-} in the shop, but at home {e+}.",
        "the photos look {w-}, but in truth it is {w+}.",
        "{w-} {x}, sure, but {e+}, and {r+}.",
        "it is {w-} to look at, but {l+}.",
        "not {w+} at first, but now {l+}.",
    ),
}

TEST: Mapping[str, tuple[str, ...]] = {
    "words": (
        "totally {w+}",
        "{w+}, {w+}, {w+}",
        "a {w+} one",
        "how {w+}!",
        "{g+}, I'd say",
        "{s+} here",
        "{w+} {p} indeed",
    ),
    "opinion": (
        "all I can say is that {l+}.",
        "its {x} is {w+}, {r+}.",
        "I would describe it as {w+}.",
        "{g+} for our home.",
    ),
    "event": ("{e+} {when+}, would you believe it.", "we use this {p} a lot, and {e+}.", "{r+}, since {e+} {when+}."),
    "negation": (
        "you can't say that it is {w-}.",
        "it wasn't {w-}.",
        "the {x} is by no means {w-}.",
        "{s+}, I must say.",
    ),
    "mixed": (
        "{w-} colour, but {e+}.",
        "the {x} may look {w-}, but {l+}.",
        "it sounds {w-}, but trust me, it is {w+}.",
    ),
}
