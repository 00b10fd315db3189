"""The sentences of the topics corpus: what customers write about each topic, and what they say of it without meaning it.

Everything here was written for this project. `{item}`, `{days}` and `{sum}` are filled in for each sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ITEMS = ("kettle", "lamp", "jacket", "phone case", "backpack", "keyboard", "blender", "desk", "headset", "watch", "tent",
         "mattress", "camera", "printer", "bicycle pump")  # fmt: skip

TRAIN: Mapping[str, Sequence[str]] = {
    "billing": (
        "I was charged twice for the {item}.",
        "The invoice says {sum} euros, but the {item} cost less.",
        "Why is there a fee of {sum} euros on my statement?",
        "My card was billed although I never ordered a {item}.",
        "The discount was not taken off my bill.",
        "Please send me a corrected invoice for the {item}.",
        "You took {sum} euros too much from my account at the bank.",
        "The amount on the receipt is wrong.",
    ),
    "delivery": (
        "The {item} has not arrived after {days} days.",
        "The parcel with the {item} was left in the rain.",
        "Tracking has said 'on its way' for {days} days.",
        "The courier brought the {item} to the wrong house.",
        "When will the {item} be shipped?",
        "My order has been stuck at the depot for {days} days.",
        "Nobody rang the bell, and the {item} went back to you.",
        "Half of my order is still missing from the parcel.",
    ),
    "account": (
        "I cannot log in any more.",
        "The link to reset my password does not work.",
        "Please change the e-mail address of my profile.",
        "My user name has been blocked for {days} days.",
        "The app signs me out every few minutes.",
        "How do I delete my profile?",
        "The code to confirm my sign-in never comes.",
        "Somebody else seems to use my login.",
    ),
    "defect": (
        "The {item} stopped working after {days} days.",
        "The {item} makes a terrible noise.",
        "There is a crack in the {item}.",
        "The {item} does not switch on.",
        "One part of the {item} broke off at once.",
        "The {item} smells burnt when I use it.",
        "The buttons of the {item} are stuck.",
        "The {item} leaks.",
    ),
    "return": (
        "I would like to send the {item} back.",
        "Please give me my money back for the {item}.",
        "How do I return the {item}?",
        "I want to exchange the {item} for a bigger one.",
        "I sent the {item} back {days} days ago and still wait for the refund.",
        "Where is the label for returning the {item}?",
        "I changed my mind and want a refund.",
        "Can I swap the {item} for another colour?",
    ),
    "praise": (
        "I love the {item}.",
        "Your colleague on the phone was wonderful.",
        "Thank you for the quick help last time.",
        "The {item} is even better than I had hoped.",
        "Great shop, I tell all my friends.",
        "The {item} was wrapped beautifully.",
        "You solved my last problem in minutes, well done.",
        "Best {item} that I have ever owned.",
    ),
}
NEW: Mapping[str, Sequence[str]] = {
    "billing": (
        "There are two charges of {sum} euros for one {item}.",
        "The invoice for the {item} shows the wrong amount.",
    ),
    "delivery": ("After {days} days the parcel is still at the depot.", "The courier has not brought the {item}."),
    "account": ("My password is refused whenever I log in.", "I cannot change my user name."),
    "defect": ("The {item} broke when I switched it on.", "The {item} has a crack and makes a noise."),
    "return": ("I want my money back and will return the {item}.", "Please exchange the {item} or send a refund."),
    "praise": ("The {item} is wonderful, thank you.", "Great help from your colleague, I love this shop."),
}
"""These are in no training row."""

DENIED: Mapping[str, Sequence[str]] = {
    "billing": (
        "The invoice itself was fine.",
        "I have no question about the bill.",
        "The amount on my card is right.",
    ),
    "delivery": ("The parcel came on time.", "Shipping was not the problem.", "The courier was quick, as always."),
    "account": ("My login works.", "I did reset my password, and that went well.", "My profile is up to date."),
    "defect": (
        "The {item} is not broken.",
        "Nothing is wrong with the {item} itself.",
        "The {item} works as it should.",
    ),
    "return": ("I do not want my money back.", "I would rather keep the {item}.", "No refund, please."),
    "praise": (
        "I used to love this shop.",
        "I wish I could thank you for something.",
        "Wonderful service is something else.",
    ),
}
"""They name a topic's words, and the message is not about it."""

NEUTRAL = (
    "Hello.",
    "Good morning.",
    "I am writing about my order of last week.",
    "It is about the {item}.",
    "I have been a customer for years.",
    "Please answer by e-mail.",
    "Regards from a customer.",
    "I look forward to your answer.",
    "My neighbour has the same {item}.",
    "I bought it for my sister.",
)
