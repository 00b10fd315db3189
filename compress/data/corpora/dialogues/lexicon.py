"""The words of the dialogue corpus: people, times, places, things, and the small talk that a summary leaves out.

Everything here was written for this project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NAMES = (
    "Ada", "Amir", "Anna", "Ben", "Bruno", "Carla", "Clara", "Daniel", "David", "Elena", "Emma", "Eva", "Felix", "Frank",
    "Hanna", "Henry", "Hugo", "Ida", "Ivan", "Jonas", "Julia", "Karen", "Kevin", "Laura", "Leo", "Lucy", "Martin", "Mia",
    "Nina", "Noah", "Nora", "Olivia", "Oscar", "Paul", "Peter", "Petra", "Ravi", "Rita", "Rosa", "Sara", "Simon", "Theo",
    "Tina", "Tom", "Vera", "Victor", "Wendy", "Zoe",
)  # fmt: skip

FACTS: Mapping[str, Sequence[str]] = {
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "time": tuple(f"{hour}{rest}" for hour in range(1, 12) for rest in (" pm", ":15", ":30", ":45")),
    "minutes": ("10", "15", "20", "25", "35", "40", "50", "55", "70", "80", "90"),
    "price": tuple(f"{amount} euros" for amount in (15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 120, 150)),
    "number": tuple(str(number) for number in range(2, 20)),
    "place": (
        "the station", "the cinema", "the library", "the bridge", "the town hall", "the park gate", "the museum",
        "the market", "the harbour", "the bus stop", "the bakery", "the fountain", "the sports hall", "the church",
        "the post office", "the school gate",
    ),
    "city": (
        "Berlin", "Paris", "Vienna", "London", "Madrid", "Rome", "Dublin", "Oslo", "Lisbon", "Prague", "Brussels",
        "Hamburg", "Munich", "Milan", "Warsaw", "Athens",
    ),
    "activity": (
        "play tennis", "have coffee", "go swimming", "go for a run", "play chess", "see the new film", "go to the zoo",
        "go cycling", "have lunch", "visit the exhibition", "go skating", "play football", "go shopping", "go hiking",
    ),
    "item": (
        "bicycle", "desk", "guitar", "sofa", "camera", "tent", "lamp", "bookshelf", "washing machine", "printer",
        "armchair", "carpet", "piano", "coffee machine", "rucksack", "sewing machine",
    ),
    "gift": (
        "a cookbook", "a scarf", "a board game", "a teapot", "a watch", "a calendar", "a plant", "a puzzle",
        "a pair of gloves", "a travel guide", "a wallet", "an umbrella", "a novel", "a lantern",
    ),
    "device": (
        "laptop", "phone", "dishwasher", "heater", "television", "tablet", "oven", "fridge", "keyboard", "router",
        "vacuum cleaner", "toaster",
    ),
    "fault": (
        "does not switch on", "makes a strange noise", "shows an error", "smells of smoke", "keeps restarting",
        "is much too loud", "gets far too hot", "stops after a minute",
    ),
    "subject": ("maths", "history", "physics", "French", "biology", "chemistry", "geography", "Spanish", "music"),
    "dish": (
        "lasagne", "mushroom soup", "fish pie", "curry", "pancakes", "chicken stew", "pizza", "risotto", "tacos",
        "vegetable stew", "dumplings", "goulash",
    ),
    "food": (
        "salad", "bread", "lemonade", "cheese", "a cake", "ice cream", "fruit", "olives", "crisps", "juice", "biscuits",
        "sandwiches",
    ),
    "thing": ("umbrella", "notebook", "wallet", "cap", "jacket", "charger", "passport", "scarf", "key", "purse"),
    "spot": (
        "under the sofa", "in the kitchen", "behind the door", "on the window sill", "in the car", "in the hall",
        "on the balcony", "next to the sink", "on the top shelf", "under the bed",
    ),
    "pet": ("cat", "dog", "parrot", "rabbit", "hamster", "tortoise", "goldfish"),
    "event": ("the concert", "the football match", "the play", "the opera", "the comedy show", "the ballet", "the circus"),
}  # fmt: skip
"""What happens, by slot. Two slots of one kind (`{time}`, `{time2}`) never have the same value in one dialogue."""

FIRST_AND_THIRD: Mapping[str, Sequence[tuple[str, str]]] = {
    "why": (
        ("have to work late", "has to work late"),
        ("have a cold", "has a cold"),
        ("have a dentist's appointment", "has a dentist's appointment"),
        ("have visitors", "has visitors"),
        ("have to study", "has to study"),
        ("promised to help a neighbour", "promised to help a neighbour"),
        ("have an exam the day after", "has an exam the day after"),
        ("am visiting relatives", "is visiting relatives"),
        ("hurt my knee", "hurt a knee"),
        ("have to mind the children", "has to mind the children"),
        ("have a meeting", "has a meeting"),
        ("have a driving lesson", "has a driving lesson"),
    ),
    "away": (
        ("am going to the mountains", "is going to the mountains"),
        ("am going to the seaside", "is going to the seaside"),
        ("am on a business trip", "is on a business trip"),
        ("am visiting my parents", "is visiting family"),
        ("have a course", "has a course"),
    ),
}
"""Reasons: as somebody says them of themselves in a dialogue, and as a summary says them of that person."""

WORDS: Mapping[str, Sequence[str]] = {
    "hi": ("Hi", "Hello", "Hey", "Good morning", "Hiya"),
    "yes": ("Yes", "Sure", "Of course", "Okay", "Fine", "No problem", "Gladly"),
    "no": ("No", "Sorry, no", "Unfortunately not", "I'm afraid not", "Oh no"),
    "sorry": ("Sorry", "I'm sorry", "So sorry", "Oh, sorry"),
    "thanks": ("Thanks", "Thank you", "Thanks a lot", "You're a star", "Great, thanks"),
    "good": ("Perfect", "Great", "Good", "Lovely", "Sounds good", "That works"),
    "but": ("Wait,", "Hold on,", "Hm,", "Oh,", "One more thing:", "Ah,"),
}
"""What changes a dialogue's tone and none of its facts."""

GREETINGS = (
    "a: {hi} {b}! | b: {hi} {a}! What's up?",
    "a: {hi} {b}, how are you? | b: Fine, and you?",
    "a: {hi}! | b: {hi} {a}.",
    "a: {b}, are you there? | b: Yes, I am here.",
    "a: Do you have a minute, {b}? | b: For you always.",
    "a: {hi} {b}, it's me. | b: {hi} {a}, good to hear from you!",
    "a: Are you busy? | b: Not really, go on.",
    "a: {hi} {b}! Did you sleep well? | b: Not really. The neighbours had a party until {time7}.",
)

SMALL_TALK = (
    "x: By the way, did you watch the match yesterday? | y: No, I fell asleep.",
    "x: My watch stopped at {time0}. | y: Then you need a new one.",
    "x: The shop closes at {time0}, doesn't it? | y: I think so.",
    "x: It's so cold today. | y: And it will be worse on {day0}, they say.",
    "x: Have you heard from {name0} lately? | y: Not since {day0}.",
    "x: I got up at {time0} today, can you imagine? | y: Poor you.",
    "x: I just had the best soup ever. | y: Now I'm hungry.",
    "x: Did {name0} like the photos? | y: I think so.",
    "x: My phone battery is almost empty. | y: Then let's be quick.",
    "x: Is it raining where you are? | y: No, the sun is out.",
    "x: {name0} says hello. | y: Say hello back!",
    "x: I paid {price0} for a haircut. | y: That is a lot.",
    "x: We had cake in the office. | y: Lucky you.",
    "x: The lift is broken again. | y: So you climb the stairs? | x: Every day.",
    "x: I saw {name0} at {place0}. | y: Really? What a surprise.",
    "x: Guess what, I slept until {time0}. | y: On a weekday? | x: Yes.",
    "x: The new song is stuck in my head. | y: Mine too.",
    "x: Our cat slept on my desk all morning. | y: Send a picture!",
)

GOODBYES = (
    "b: See you! | a: Bye!",
    "a: {thanks}! | b: You're welcome.",
    "b: Have a nice day. | a: You too!",
    "b: It's {time6} already, I must run. | a: Bye!",
    "a: I have to go now. Bye! | b: Bye {a}!",
    "a: {thanks}, {b}. | b: Any time.",
    "b: Say hello to {name6}. | a: I will.",
)
