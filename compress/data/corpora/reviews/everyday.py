"""The everyday words of the reviews corpus: the commonest words of praise and blame, and what people say with them.

Everything here was written for this project. Each list of bad things has one of good things of the same length.
"""

from __future__ import annotations

from collections.abc import Mapping

# fmt: off
LISTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "w": (  # adjectives
        (
            "bad", "awful", "terrible", "horrible", "disappointing", "poor", "useless", "worthless", "dreadful", "broken",
            "ugly", "disgusting", "annoying", "defective", "faulty", "flimsy", "unreliable", "frustrating", "shoddy",
            "pathetic", "uncomfortable", "weak", "atrocious", "lousy", "unusable", "appalling", "mediocre", "unacceptable",
            "noisy", "nasty", "badly made", "hard to use", "third class", "overpriced", "dirty", "low quality",
        ),
        (
            "good", "great", "excellent", "perfect", "amazing", "wonderful", "fantastic", "awesome", "brilliant", "superb",
            "lovely", "beautiful", "nice", "terrific", "fabulous", "outstanding", "impressive", "reliable", "sturdy",
            "useful", "comfortable", "solid", "delightful", "flawless", "pleasant", "magnificent", "fine", "incredible",
            "handy", "elegant", "well made", "easy to use", "first class", "super", "ideal", "high quality",
        ),
    ),
    "l": (  # feelings
        (
            "I hate it", "I dislike it a lot", "I am unhappy with it", "I am very disappointed", "I curse it every day",
            "we hate it", "I am angry", "I regret that I bought it", "it makes me furious", "I am appalled",
            "I am an unhappy customer", "I really dislike it", "my family hates it", "it was a mistake",
            "I am dissatisfied", "I detest it", "it arrived broken", "I would not miss it",
        ),
        (
            "I love it", "I like it a lot", "I am happy with it", "I am very pleased", "I enjoy it every day", "we love it",
            "I am delighted", "I am glad I bought it", "it makes me smile", "I am impressed", "I am a happy customer",
            "I really like it", "my family loves it", "it is my favourite", "I am satisfied", "I adore it",
            "it arrived in perfect shape", "I would miss it",
        ),
    ),
    "e": (  # what happened
        (
            "it stopped working", "it broke", "it fell apart", "it let me down", "it died", "it failed", "it leaked",
            "it cracked", "it did not work any more", "it fell to pieces", "it was worn out", "nothing worked",
            "it quit working", "it gave up the ghost", "it snapped in two", "it came apart", "it would not turn on",
            "I had to send it back",
        ),
        (
            "it still works", "it works perfectly", "it works as promised", "it has never let me down",
            "it still looks new", "it runs without a fault", "it does its job", "it keeps going", "it has never failed",
            "it survives everything", "it is as strong as new", "everything works", "it works well",
            "it works like a charm", "it has stayed whole", "it holds together", "it performs beautifully",
            "it has not broken",
        ),
    ),
    "when": (  # times that go with what happened
        (
            "after two weeks", "after a week", "within a month", "in two days", "after one use", "on the first day",
            "the day after I bought it", "on the first trip", "almost at once",
        ),
        (
            "after two years", "after months of daily use", "every day", "after all this time", "from the first day",
            "year after year", "after five years", "after many trips", "to this day",
        ),
    ),
    "s": (  # short denials
        (
            "not good", "not good at all", "not happy", "I have nothing to praise", "nothing good about it", "not worth it",
            "I couldn't be unhappier", "never again", "no use to anyone", "not a single strength", "it never works",
            "it does not work", "it could not be worse", "I have nothing good to say", "not impressed",
            "never had a worse one", "never a happy moment", "can't recommend it",
        ),
        (
            "not bad", "not bad at all", "no complaints", "I have nothing to complain about", "nothing wrong with it",
            "no regrets", "I couldn't be happier", "never a problem", "no problems so far", "not a single fault",
            "it never fails", "it does not disappoint", "it could not be better", "I have nothing bad to say",
            "not disappointed", "never had a better one", "never a dull moment", "can't fault it",
        ),
    ),
    "g": (  # nouns
        (
            "a pain to use", "a rip-off", "a bad buy", "junk", "a waste of money", "a disappointment", "a real let-down",
            "a disaster", "a nightmare", "rubbish", "a bad joke", "the worst", "a failure", "garbage",
        ),
        (
            "a joy to use", "a bargain", "a great buy", "a gem", "money well spent", "a pleasure", "a real treat",
            "a winner", "a dream", "a masterpiece", "a perfect gift", "the best", "a success", "a delight",
        ),
    ),
    "r": (  # advice
        (
            "avoid it", "don't buy it", "not recommended", "I would not buy it again", "one star", "stay away",
            "you will regret it", "keep your money", "thumbs down", "do not bother", "not worth a penny", "I want a refund",
        ),
        (
            "I recommend it", "buy it", "highly recommended", "I would buy it again", "five stars", "get one",
            "you won't regret it", "go for it", "thumbs up", "do not hesitate", "worth every penny", "a must have",
        ),
    ),
}
# fmt: on
"""What fills each slot of `everyday_templates`: on the negative, and on the positive side."""
