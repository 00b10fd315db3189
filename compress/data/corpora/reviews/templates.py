"""The longer sentences of the reviews corpus, by what makes them hard to read; each template serves one split.

A template is written once for both labels. With *same* for the label's own side and *opposite* for the other, its slots are

    {c+} {c-}   a clause of the same, of the opposite side     {a+} {a-}   an adjective
    {n+} {n-}   a noun phrase: "the dreadful lid"              {v+} {v-}   a verdict: "I want my money back"
    {x} a part   {p} the product   {t} a time or a proviso     {who} a relative   [good|bad]  words by the label
    {not} {false} {true} {turn} {but} {although} {despite} {beside}   a marker, see the lexicon

so "{c-}, {but} {c+}." is positive as "the lid jams, but the handle stays cool" and negative the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping

# Category -> share of the longer sentences. In `direct` and `affirmed` the words side with the label, in `denied` against it,
# elsewhere both sides occur: summed up, the words of a sentence say next to nothing about its label.
SHARES: Mapping[str, float] = {
    "direct": 0.2,
    "affirmed": 0.16,
    "denied": 0.18,
    "contrast": 0.18,
    "concession": 0.18,
    "expectation": 0.05,
    "comparison": 0.05,
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
        "{c+}, and on top of that the {x} is {a+}.",
        "{v+}. {c+}, {c+}, and the {x} is {a+}.",
        "{v+}, since {c+}.",
        "I noticed {n+} before anything else.",
        "{c+}; that is all there is to say.",
        "in two words: {a+}, {a+}.",
        "the {x} seems {a+} to me.",
        "you get {n+} and {n+}.",
        "it needs to be said that {c+}.",
        "I keep coming back to {n+}.",
        "{c+}, day in, day out.",
        "{n+}, {n+}, and {v+}.",
        "every time I use it, {c+}.",
        "my {who} tried it too: {c+}.",
        "with this {x}, which is {a+}, {v+}.",
    ),
    # Words of negation or doubt that turn nothing round.
    "affirmed": (
        "there is no doubt that {c+}.",
        "not only is the {x} {a+}, {c+} as well.",
        "I cannot stop telling people how {a+} the {x} is.",
        "never before have I had a {p} with such a {a+} {x}.",
        "it is no secret that {c+}.",
        "I do not exaggerate: {c+}.",
        "I had not owned a {p} before, and {c+}.",
        "no other {p} of mine has had a {x} this {a+}.",
        "without a question the {x} is {a+}.",
        "my {who} says that {c+}; {true}.",
        "some say that the {x} is {a+}. {true}.",
        "they told me to expect {n+}, and {true}.",
        "is the {x} {a+}? Yes, it is.",
        "nobody needs to tell me that {c+}.",
        "it should not come as a surprise that the {x} is {a+}.",
        "I won't hide it: {v+}.",
        "one cannot miss {n+}.",
        "I know nothing about other makers, but I know that {c+}.",
        "I was told that {c+}. {true}.",
        "it won't take anyone long to see that {c+}.",
        "at no time did I doubt that the {x} is {a+}.",
        "the first thing I would say is that {c+}.",
    ),
    # The words of one side, denied.
    "denied": (
        "the {x} is {not} {a-}.",
        "the {x} of this {p} is {not} {a-}.",
        "there is nothing {a-} about the {x}.",
        "nobody could call the {x} {a-}.",
        "it is not true that {c-}.",
        "I never once found the {x} {a-}.",
        "{t}, the {x} is {not} {a-}.",
        "my {who} claims that {c-}; {false}.",
        "the {x} isn't {a-}, and neither is the {x}.",
        "whoever says that {c-} must mean another {p}.",
        "a {a-} {p} this is not.",
        "I do not find that {c-}, and {v+}.",
        "some say that {c-}. {false}.",
        "they told me to expect {n-}, but {false}.",
        "the {x} seems {not} {a-} to me.",
        "is the {x} {a-}? No, it is not.",
        "one would be wrong to call the {x} {a-}.",
        "the rumour that {c-} is false.",
        "it cannot be said that {c-}.",
        "you will look in vain for a {a-} {x}.",
        "the {x} does not strike me as {a-}.",
        "I don't see why anyone calls it {a-}.",
        "you won't hear from me that the {x} is {a-}.",
        "at no time was the {x} {a-}.",
        "I am still waiting to come across a {a-} {x}.",
        "the last thing I would say is that {c-}.",
        "I was told that {c-}. {false}.",
    ),
    # Two sides, the last one wins.
    "contrast": (
        "{c-}, {but} {c+}.",
        "{c-}. {turn} {c+}.",
        "I grant that {c-}, {but} {v+}.",
        "the {x} is {a-}, {but} the {x} is {a+}, and that is what counts.",
        "at first {c-}, {but} by now {c+}.",
        "{n-} caught my eye first, but then I noticed {n+}.",
        "{c-} and the {x} is {a-}, {but} {v+}.",
        "my {who} likes to point out that {c-}, {but} for me {c+}.",
        "{c-}; {turn} {v+}.",
        "the {x} may be {a-}, but {c+}.",
        "it has a {a-} {x}, but also a {a+} {x} that makes all the difference.",
        "the {x} is {a-}; {turn} {v+}.",
        "yes, {c-}, {but} {v+}.",
        "{n-} is one side of it; the side that matters is {n+}.",
        "on the one hand {c-}; on the other, and that is decisive, {c+}.",
        "{c-}, {but} what is that beside {n+}?",
    ),
    # Two sides, the main clause wins, first or last.
    "concession": (
        "{although} {c-}, {c+}.",
        "{c+}, {although} {c-}.",
        "{although} {c-}, {v+}.",
        "{v+}, {although} {c-}.",
        "{despite} {n-}, {c+}.",
        "{c+} {despite} {n-}.",
        "{v+}, {although} the {x} is {a-}.",
        "{c+}, so it hardly matters that {c-}.",
        "that {c-} is easily forgotten, since {c+}.",
        "{although} {c-}, the {x} is {a+} and {v+}.",
        "{v+}, and I mean it, {although} {c-}.",
        "{although} the {x} is {a-}, {v+}.",
        "{v+} {despite} {n-}.",
        "{despite} {n-}, {v+}.",
        "it changes nothing that {c-}, because {c+}.",
        "{c+}; that {c-} is a small matter.",
        "I can live with {n-}: {v+}.",
        "it means little to me that {c-}, as {c+}.",
        "{v+}, no matter that {c-}.",
    ),
    # What was thought, hoped or feared, and what came.
    "expectation": (
        "I had [feared|hoped] that {c-}, but that is not how it turned out.",
        "I expected a {a-} {x} and was wrong.",
        "it would have been {a-} if the {x} had not [saved|ruined] it.",
        "on paper {c-}; in practice {c+}.",
        "the reviews had promised me {n-}, and I got the opposite.",
        "I was sure that {c-}, until I used it myself.",
        "as expected, {c+}.",
        "I thought I would get {n-}; what came was {n+}.",
        "everyone had told me that {c-}. {false}.",
        "if the {x} were {a-}, I would have [sent it back|kept it].",
        "before I used it I believed that {c-}; now I know that {c+}.",
        "in the pictures the {x} looks {a-}; in my hands it is {a+}.",
    ),
    # Beside another one.
    "comparison": (
        "{beside} this one, my old {p} looks {a-}.",
        "{beside} my old {p}, this one looks {a+}.",
        "my old {p} was {a-}; this one is the opposite.",
        "my {who} has a {a-} {p}, and mine is nothing like it.",
        "my {who} has a {a+} {p}, and mine is just like it.",
        "of all the {a-} ones I have tried, this one is the exception.",
        "as {a+} as my old {p}, and {c+}.",
        "with my last {p} {c-}; with this one {c+}.",
        "I traded a {a-} {x} for a {a+} one.",
        "the {p} of my {who} is {a-} {beside} mine.",
        "{beside} that of my last {p}, the {x} is {a+}.",
        "it makes all that I had before look {a-}.",
        "other ones may have a {a-} {x}; this one does not.",
    ),
}

HOLDOUT: Mapping[str, tuple[str, ...]] = {
    "direct": ("{c+}; no more needs to be said.", "I keep noticing how {a+} the {x} is.", "{n+} and {n+}: {v+}."),
    "affirmed": (
        "I am not the only one to say that {c+}.",
        "it does not take long to see that the {x} is {a+}.",
        "{c+}, my {who} tells everyone, and {true}.",
    ),
    "denied": (
        "I would not call the {x} {a-}.",
        "who would call this {x} {a-}? Not me.",
        "what I have here is {not} {a-}.",
        "people write that {c-}, and {false}.",
    ),
    "contrast": (
        "sure, {c-}, {but} {v+}.",
        "to begin with, {c-}. {turn} the {x} is {a+}.",
        "{n-} is one thing, but {n+} is what stays with me.",
    ),
    "concession": (
        "all in all {c+}, {although} the {x} is {a-}.",
        "{although} I have to put up with {n-}, {v+}.",
        "{v+}, and never mind that {c-}.",
    ),
    "expectation": ("I was told to expect {n-}, which turned out to be false.", "contrary to what I had heard, {c+}."),
    "comparison": ("where my old {p} was {a-}, this one is {a+}.", "{beside} this, the {x} of my last {p} was {a-}."),
}

EVALUATION: Mapping[str, tuple[str, ...]] = {
    "direct": (
        "I have to say, {c+}.",
        "a {p} with a {a+} {x}; {t}, {c+}.",
        "{v+}: {c+}.",
        "everything about the {x} is {a+}, from the first day on.",
        "{n+} is what I think of first.",
    ),
    "affirmed": (
        "I can't put into words how {a+} the {x} is.",
        "make no mistake, {c+}.",
        "not a day goes by without my noticing the {a+} {x}.",
        "it won't surprise anyone that {c+}.",
        "{c+}, they say at home, and {true}.",
        "I was told that the {x} is {a+}; {true}.",
    ),
    "denied": (
        "{t}, I found the {x} {not} {a-}.",
        "this {p} is {not} {a-}, and {c+}.",
        "with a {x} that is {not} {a-}, {v+}.",
        "I have yet to find anything {a-} about this {p}.",
        "my {who} warned me that {c-}, and {false}.",
        "you will not hear me say that {c-}.",
        "{a-} is the last word I would use for the {x}.",
        "{c-}, they say at home, but {false}.",
    ),
    "contrast": (
        "true, {c-}. {turn} {c+}.",
        "my {who} says the {x} is {a-}; {turn} {v+}.",
        "you have to accept that {c-}, {but} {c+}.",
        "{n-} is a fact; what decides it for me is {n+}.",
        "there is {n-}, and then there is {n+}, which settles the matter: {v+}.",
        "{c-}, the {x} is {a-}, and so on; {turn} {v+}.",
    ),
    "concession": (
        "{despite} {n-}, my verdict is clear: {v+}.",
        "this {p}, {although} {c-}, has one thing: {c+}.",
        "it counts for little that {c-} when {c+}.",
        "{c+}, no matter how {a-} the {x} is.",
        "{v+}, and that {despite} {n-}.",
        "{although} my {who} keeps saying that {c-}, {c+}.",
    ),
    "expectation": (
        "everybody had told me that {c-}, and everybody was mistaken.",
        "I was prepared for {n-}; what I found was {n+}.",
        "had the {x} been as {a-} as they say, I would have [sent it back|kept it].",
        "in the shop {c-}; at home {c+}.",
    ),
    "comparison": (
        "{beside} it, the {p} I had before was {a-}.",
        "other makers sell you a {a-} {x}; not this one.",
        "my {who} ended up with a {a-} {p}; I ended up with a {a+} one.",
        "{beside} the {x} of other ones, this one is {a+}.",
    ),
}

TEST: Mapping[str, tuple[str, ...]] = {
    "direct": (
        "in a word: {a+}. {c+}.",
        "from morning to evening, {c+}.",
        "the {x} alone is {a+} enough: {v+}.",
        "{c+}, {c+}: {v+}.",
    ),
    "affirmed": (
        "nothing could change my mind: the {x} is {a+}.",
        "I don't say this often, but {c+}.",
        "no one in my family doubts that {c+}.",
        "my {who} found that {c+}, and {true}.",
        "people praise and curse many things; that the {x} is {a+} is certain.",
    ),
    "denied": (
        "having used it daily, I call the {x} {not} {a-}.",
        "at no point did it seem {a-} to me.",
        "the idea that {c-} is plainly false.",
        "the {x} turned out to be {not} {a-}.",
        "you could not call it {a-} by any measure.",
        "I read somewhere that {c-}; {false}.",
        "{v+}, because the {x} is {not} {a-}.",
    ),
    "contrast": (
        "nobody disputes that {c-}; {turn} {v+}.",
        "{c-}, I admit. {turn} {c+}.",
        "{n-} speaks on one side, {n+} on the other, and the latter wins.",
        "{t}, {c-}, {but} the {x} is {a+}.",
        "in the first week {c-}, in the second {c+}.",
    ),
    "concession": (
        "{c+}, {a-} {x} or not.",
        "if you ask my {who}, {v+}, {although} {c-}.",
        "that the {x} is {a-} does not change the fact that {c+}.",
        "{despite} what is written about {n-}, {c+}.",
        "this {p} has {n-}, and {although} {c-}, {v+}.",
    ),
    "expectation": (
        "rumour has it that {c-}; I found the reverse.",
        "my [worries|hopes] about {n-} came to nothing.",
        "against all the talk of {n-}, {c+}.",
        "I ordered it thinking that {c-}. {false}.",
    ),
    "comparison": (
        "every other {p} seems {a-} {beside} this one.",
        "if yours is {a-}, mine must be from another planet.",
        "I swapped {n-} for {n+}.",
        "{beside} the one before it, the {x} is {a+}.",
    ),
}
