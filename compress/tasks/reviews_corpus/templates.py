"""The sentence templates of the reviews corpus, by what makes them hard to read, each in one split only.

A template is written once for both labels. With *same* for the label's own side and *opposite* for the other, its slots are

    {c+} {c-}   a clause of the same, of the opposite side      {a+} {a-}   an adjective
    {n+} {n-}   a noun phrase: "the dreadful lid"               {v+} {v-}   a verdict: "I want my money back"
    {x} a part   {p} the product   {t} a time or a proviso   {who} a relative      [good|bad]  words by the label

so "{c-}, but {c+}." is positive as "the lid jams, but the handle stays cool" and negative the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping

# Category -> share of the sentences. In `direct` and `affirmed` the words side with the label, in `denied` and
# `reported` against it, elsewhere both sides occur: summed up, the words of a sentence say next to nothing about its label.
SHARES: Mapping[str, float] = {
    "direct": 0.14,
    "affirmed": 0.12,
    "denied": 0.20,
    "contrast": 0.18,
    "concession": 0.18,
    "expectation": 0.09,
    "comparison": 0.09,
}

TRAIN: Mapping[str, tuple[str, ...]] = {
    # The words mean what they say.
    "direct": (
        "{c+}, and {c+}.",
        "{t}, {c+}.",
        "the {x} is {a+} and {c+}.",
        "the {x} of this {p} is simply {a+}.",
        "what a {a+} {p}: {c+}.",
        "{c+}. {v+}.",
        "a {a+} {x}, a {a+} {x}: {v+}.",
        "{t}, I find the {x} {a+}.",
        "my {who} and I agree: {c+}.",
        "{c+}, and on top of that the {x} is {a+}.",
    ),
    # A word of negation that negates nothing of the praise or blame.
    "affirmed": (
        "there is no doubt that {c+}.",
        "not only is the {x} {a+}, {c+} as well.",
        "I cannot stop telling people how {a+} the {x} is.",
        "never before have I had a {p} with such a {a+} {x}.",
        "it is no secret that {c+}.",
        "I do not exaggerate: {c+}.",
        "nobody can deny that {c+}.",
        "I had not owned a {p} before, and {c+}.",
        "no other {p} of mine has had a {x} this {a+}.",
        "without a question the {x} is {a+}.",
    ),
    # The words of one side, denied.
    "denied": (
        "the {x} is not {a-} at all.",
        "there is nothing {a-} about the {x}.",
        "nobody could call the {x} {a-}.",
        "it is not true that {c-}.",
        "I never once found the {x} {a-}.",
        "the {x} is anything but {a-}.",
        "{t}, the {x} is hardly {a-}.",
        "my {who} claims that {c-}. I disagree.",
        "the {x} isn't {a-}, and neither is the {x}.",
        "whoever says that {c-} must mean another {p}.",
        "a {a-} {p} this is not.",
        "I do not find that {c-}, and {v+}.",
        "some say that {c-}; that is simply wrong.",
        "it is a myth that the {x} is {a-}.",
    ),
    # Two sides, the last one wins.
    "contrast": (
        "{c-}, but {c+}.",
        "{c-}, yet {c+}.",
        "{c-}. However, {c+}.",
        "I grant that {c-}, but {v+}.",
        "the {x} is {a-}, but the {x} is {a+}, and that is what counts.",
        "at first {c-}, but by now {c+}.",
        "{n-} caught my eye first, but then I noticed {n+}.",
        "{c-} and the {x} is {a-}, but {v+}.",
        "my {who} likes to point out that {c-}, but for me {c+}.",
        "{c-}; {t}, however, {v+}.",
        "the {x} may be {a-}, but {c+}.",
        "it has a {a-} {x}, but also a {a+} {x} that makes all the difference.",
    ),
    # Two sides, the main clause wins, first or last.
    "concession": (
        "although {c-}, {c+}.",
        "{c+}, although {c-}.",
        "even though {c-}, {v+}.",
        "{v+}, even if {c-}.",
        "despite {n-}, {c+}.",
        "{c+} in spite of {n-}.",
        "{v+}, although the {x} is {a-}.",
        "{c+}, so it hardly matters that {c-}.",
        "that {c-} is easily forgotten, since {c+}.",
        "while {c-}, the {x} is {a+} and {v+}.",
        "{v+}, and I say so although {c-}.",
        "though the {x} is {a-}, {v+}.",
    ),
    # What was thought, hoped or feared, and what came.
    "expectation": (
        "I had [feared|hoped] that {c-}, but that is not how it turned out.",
        "I expected a {a-} {x} and was wrong.",
        "it would have been {a-} if the {x} had not [saved|ruined] it.",
        "on paper {c-}; in practice {c+}.",
        "the reviews had promised me {n-}, and I got the opposite.",
        "I was sure that {c-}, until I used it myself.",
        "I thought that {c-}, and indeed I was not mistaken about the {x}: it is [{a+}|{a+}].",
        "as expected, {c+}.",
    ),
    # Beside another one.
    "comparison": (
        "next to this one, my old {p} looks {a-}.",
        "my old {p} was {a-}; this one is the opposite.",
        "my {who} has a {a-} {p}, and mine is nothing like it.",
        "my {who} has a {a+} {p}, and mine is just like it.",
        "of all the {a-} ones I have tried, this one is the exception.",
        "as {a+} as my old {p}, and {c+}.",
        "with my last {p} {c-}; with this one {c+}.",
        "I traded a {a-} {x} for a {a+} one.",
    ),
}

HOLDOUT: Mapping[str, tuple[str, ...]] = {
    "direct": ("{c+}; no more needs to be said.", "I keep noticing how {a+} the {x} is."),
    "affirmed": ("I am not the only one to say that {c+}.", "it does not take long to see that the {x} is {a+}."),
    "denied": ("far be it from me to call the {x} {a-}.", "who would call this {x} {a-}? Not me.", "{c-}? Not mine."),
    "contrast": ("sure, {c-}, but {v+}.", "{c-}. And yet {c+}.", "{n-} is one thing, but {n+} is what stays with me."),
    "concession": ("{c+}, regardless of {n-}.", "much as {c-}, {v+}.", "{v+}, and never mind that {c-}."),
    "expectation": ("I was told to expect {n-}, which turned out to be false.", "contrary to what I had heard, {c+}."),
    "comparison": ("where my old {p} was {a-}, this one is {a+}.", "unlike the {a-} one of my {who}, it is [fine|not fine]."),
}

EVALUATION: Mapping[str, tuple[str, ...]] = {
    "direct": (
        "I have to say, {c+}.",
        "a {p} with a {a+} {x}; {t}, {c+}.",
        "{v+}: {c+}.",
        "everything about the {x} is {a+}, from the first day on.",
    ),
    "affirmed": (
        "I can't put into words how {a+} the {x} is.",
        "make no mistake, {c+}.",
        "not a day goes by without my noticing the {a+} {x}.",
        "it won't surprise anyone that {c+}.",
    ),
    "denied": (
        "the {x} is far from {a-}.",
        "in no way is the {x} {a-}.",
        "{a-} is the last word I would use for the {x}.",
        "I have yet to find anything {a-} about this {p}.",
        "my {who} warned me that {c-}, which is nonsense.",
        "you will not hear me say that {c-}.",
    ),
    "contrast": (
        "{c-}; still, {c+}.",
        "true, {c-}. Even so, {c+}.",
        "{c-}. On balance, though, {v+}.",
        "{n-} is a fact; what decides it for me is {n+}.",
        "there is {n-}, and then there is {n+}, which settles the matter: {v+}.",
    ),
    "concession": (
        "{v+}, notwithstanding {n-}.",
        "granted that {c-}, {c+}.",
        "for all that {c-}, {v+}.",
        "it counts for little that {c-} when {c+}.",
        "{c+}, no matter how {a-} the {x} is.",
    ),
    "expectation": (
        "everybody had told me that {c-}, and everybody was mistaken.",
        "I was prepared for {n-}; what I found was {n+}.",
        "had the {x} been as {a-} as they say, I would have [sent it back|kept it].",
    ),
    "comparison": (
        "compared with it, the {p} I had before was {a-}.",
        "other makers sell you a {a-} {x}; not this one.",
        "my {who} ended up with a {a-} {p}; I ended up with a {a+} one.",
    ),
}

TEST: Mapping[str, tuple[str, ...]] = {
    "direct": (
        "in a word: {a+}. {c+}.",
        "I noticed at once that {c+}.",
        "the {x} alone is {a+} enough: {v+}.",
    ),
    "affirmed": (
        "nothing could change my mind: the {x} is {a+}.",
        "I don't say this often, but {c+}.",
        "no one in my family doubts that {c+}.",
    ),
    "denied": (
        "you could not call it {a-} by any measure.",
        "the {x}, {a-}? I beg to differ.",
        "at no point did it seem {a-} to me.",
        "the idea that {c-} is plainly false.",
        "I fail to see what is {a-} about the {x}.",
    ),
    "contrast": (
        "yes, {c-}; all the same, {v+}.",
        "{c-}, I admit. Nevertheless {c+}.",
        "{n-} speaks on one side, {n+} on the other, and the latter wins.",
        "{c-}, but all that is nothing beside {n+}.",
    ),
    "concession": (
        "{c+}, {a-} {x} or not.",
        "{v+} in the face of {n-}.",
        "that the {x} is {a-} does not change the fact that {c+}.",
        "admittedly {c-}, which does not alter that {v+}.",
    ),
    "expectation": (
        "rumour has it that {c-}; I found the reverse.",
        "my [worries|hopes] about {n-} came to nothing.",
        "against all the talk of {n-}, {c+}.",
    ),
    "comparison": (
        "set beside this one, every other {p} seems {a-}.",
        "if yours is {a-}, mine must be from another planet.",
        "I swapped {n-} for {n+}.",
    ),
}

SPLITS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "train": TRAIN,
    "holdout": HOLDOUT,
    "evaluation": EVALUATION,
    "test": TEST,
}
